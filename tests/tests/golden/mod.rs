//! Recordings of the gem, met by producer and relay: what lies in the log is what the gem sent.

mod simple_crud;
mod twins;

use anyhow::{Context as _, Result};
use serde_json::Value;

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value[field].as_str().with_context(|| format!("no text `{field}`"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
