//! Why a value has no form on the wire.

/// A value that cannot be written; the transaction that wanted to publish it is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the attribute `{attribute}` cannot be written: {reason}")]
pub struct EncodeError {
    /// The outermost attribute that holds the value; empty when the value stood alone.
    pub attribute: String,
    /// What is wrong, without the value itself.
    pub reason: &'static str,
}

/// Why a part that nobody loaded can't be written.
pub(crate) const PART_NOT_LOADED: &str = "its parts were not loaded";

impl EncodeError {
    /// Whether it is only that a part was not loaded: the rest of the snapshot is sound.
    pub fn is_unloaded_part(&self) -> bool {
        self.reason == PART_NOT_LOADED
    }

    /// What to do about it.
    pub fn remedy(&self) -> Option<String> {
        if self.is_unloaded_part() {
            return Some("declare the part where the model is published, `.publish::<Root>().with::<Part>()`, or load it into the struct".into());
        }
        Some("correct the value, or give its field `#[publishable(skip)]`".into())
    }
}
