//! A model in the form of another type.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::Publishable;
use crate::instance::{Instance, Owned};

/// Makes the instance that is published from the one that is staged.
#[derive(Clone)]
pub(crate) struct View(Arc<Show>);

type Show = dyn Fn(&dyn Any) -> Option<Owned> + Send + Sync;

impl View {
    pub(super) fn of<M, V>() -> Self
    where
        M: Publishable + 'static,
        V: Publishable + for<'a> From<&'a M> + Send + 'static,
    {
        Self(Arc::new(|instance| {
            instance.downcast_ref::<M>().map(|instance| Box::new(V::from(instance)) as Owned)
        }))
    }

    /// `None` for an instance of another type than the view's, which the topology rules out.
    pub(crate) fn show(&self, instance: &dyn Instance) -> Option<Owned> {
        (self.0)(instance.as_any())
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("View(..)")
    }
}
