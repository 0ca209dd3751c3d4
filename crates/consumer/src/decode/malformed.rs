//! Why a message can't be decoded.

/// What is wrong with a message. Says where, never what it holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The value is not JSON of the expected shape.
    #[error("the value is not a Dionysus message ({})", place(.0))]
    Json(serde_json::Error),
    /// The value is larger than this program decodes.
    #[error("the value has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Sideloaded records are nested deeper than this program follows.
    #[error("sideloaded records are nested deeper than {limit} levels")]
    TooDeep {
        /// What is allowed.
        limit: usize,
    },
    /// A header of ours is not a number, or stands alone.
    #[error("the header `{name}` is not valid")]
    Header {
        /// Its name.
        name: &'static str,
    },
    /// A link, or what was sideloaded for it, has another shape than it must have.
    #[error("the link `{link}` of a record is not valid")]
    Link {
        /// Its name, cut to 100 characters.
        link: String,
    },
    /// An id is not a value that the replica's id column can hold.
    #[error("a record of `{model}` has an id that its replica cannot hold")]
    Id {
        /// The mapped model.
        model: String,
    },
}

impl Malformed {
    pub(super) fn link(name: &str) -> Self {
        Self::Link { link: name.chars().take(100).collect() }
    }
}

/// Position and kind; serde's own words may quote the value.
fn place(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Io | serde_json::error::Category::Syntax => "invalid JSON",
        serde_json::error::Category::Eof => "the JSON ends early",
        serde_json::error::Category::Data => "another shape",
    };
    format!("{kind} at line {} column {}", error.line(), error.column())
}
