//! A key in an error: for the program, not for the log.

use std::fmt;
use std::sync::Arc;

/// The key, `Model:id`, of an instance that was refused.
///
/// A program can read it, to find the instance. Neither the error's text nor its debug output shows it: ids may be personal
/// (an e-mail address), and errors end in logs.
///
/// # Examples
/// ```
/// use dionysus_producer::InstanceKey;
///
/// let key = InstanceKey::from("Account:someone@example.org".to_owned());
/// assert_eq!(key.as_str(), "Account:someone@example.org");
/// assert_eq!(format!("{key:?}"), "InstanceKey(..)");
/// ```
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct InstanceKey(Arc<str>);

impl InstanceKey {
    /// The key in full.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for InstanceKey {
    fn from(key: String) -> Self {
        Self(key.into())
    }
}

impl From<&Arc<str>> for InstanceKey {
    fn from(key: &Arc<str>) -> Self {
        Self(Arc::clone(key))
    }
}

/// Without the key.
impl fmt::Debug for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstanceKey(..)")
    }
}
