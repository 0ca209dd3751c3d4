//! Types that hold attributes: options, lists, maps, pointers.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::Attribute;
use crate::{JsonWriter, Schema};

impl<T: Attribute> Attribute for Option<T> {
    fn write(&self, out: &mut JsonWriter) {
        match self {
            Some(value) => value.write(out),
            None => out.null(),
        }
    }

    fn text(&self) -> Option<String> {
        self.as_ref()?.text()
    }

    fn schema() -> Schema {
        T::schema().nullable()
    }
}

impl<T: Attribute> Attribute for [T] {
    fn write(&self, out: &mut JsonWriter) {
        out.begin_array();
        for value in self {
            out.element();
            value.write(out);
        }
        out.end_array();
    }

    fn schema() -> Schema {
        Schema::list(T::schema())
    }
}

impl<T: Attribute> Attribute for Vec<T> {
    fn write(&self, out: &mut JsonWriter) {
        self.as_slice().write(out);
    }

    fn schema() -> Schema {
        Schema::list(T::schema())
    }
}

/// A `bytea`: its text, when it is UTF-8.
impl Attribute for Vec<u8> {
    fn write(&self, out: &mut JsonWriter) {
        out.bytes(self);
    }

    fn schema() -> Schema {
        Schema::string()
    }
}

impl<T: Attribute> Attribute for BTreeMap<String, T> {
    fn write(&self, out: &mut JsonWriter) {
        out.begin_object();
        for (name, value) in self {
            out.key(name);
            value.write(out);
        }
        out.end_object();
    }

    fn schema() -> Schema {
        Schema::map(T::schema())
    }
}

macro_rules! pointers {
    ($($pointer:ty),+) => {
        $(impl<T: Attribute + ?Sized> Attribute for $pointer {
            fn write(&self, out: &mut JsonWriter) {
                T::write(self, out);
            }

            fn text(&self) -> Option<String> {
                T::text(self)
            }

            fn schema() -> Schema {
                T::schema()
            }
        })+
    };
}

pointers!(&T, Box<T>, Arc<T>, Rc<T>);
