//! The capture as a trigger writes it, taken apart.

use std::borrow::Cow;
use std::ops::Deref;

use serde::Deserialize;

use super::CaptureError;

/// The only format so far. Whatever a program that knows it could not read has another number.
pub(super) const FORMAT: u64 = 1;

/// A capture.
#[derive(Debug, Deserialize)]
pub(super) struct Captured<'a> {
    format: u64,
    #[serde(borrow)]
    pub(super) event: Text<'a>,
    pub(super) model: Text<'a>,
    /// These two, or the id alone.
    attributes: Option<Vec<Column<'a>>>,
    links: Option<Vec<Link<'a>>>,
    id: Option<Column<'a>>,
}

/// What it holds of the row.
pub(super) enum Content<'c, 'a> {
    Snapshot { attributes: &'c [Column<'a>], links: &'c [Link<'a>] },
    Destroyed { id: &'c Column<'a> },
}

/// A column; an array in the document.
#[derive(Debug, Deserialize)]
pub(super) struct Column<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    pub(super) type_name: Text<'a>,
    pub(super) text: Option<Text<'a>>,
}

/// A to-one link; an array in the document.
#[derive(Debug, Deserialize)]
pub(super) struct Link<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    pub(super) id_type: Text<'a>,
    pub(super) id: Option<Text<'a>>,
    /// `None` for a link to one model.
    pub(super) model_type: Option<Text<'a>>,
    pub(super) model: Option<Text<'a>>,
}

/// A text that is copied only where it holds escapes.
#[derive(Debug, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Read in case the rest can't be.
#[derive(Deserialize)]
struct Head {
    format: u64,
}

pub(super) fn read(capture: &str) -> Result<Captured<'_>, CaptureError> {
    match serde_json::from_str(capture) {
        Ok(captured @ Captured { format: FORMAT, .. }) => Ok(captured),
        _ => Err(match serde_json::from_str(capture) {
            Ok(Head { format }) if format != FORMAT => CaptureError::Format { found: format },
            _ => CaptureError::Malformed,
        }),
    }
}

impl<'a> Captured<'a> {
    pub(super) fn content(&self) -> Result<Content<'_, 'a>, CaptureError> {
        match (&self.attributes, &self.links, &self.id) {
            (Some(attributes), Some(links), None) => Ok(Content::Snapshot { attributes, links }),
            (None, None, Some(id)) => Ok(Content::Destroyed { id }),
            _ => Err(CaptureError::Malformed),
        }
    }
}
