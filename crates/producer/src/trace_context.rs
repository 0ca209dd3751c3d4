//! The trace that a change belongs to, carried to whoever consumes it.
//!
//! # What is captured
//! The context of the staging call, into the row, so that it outlives the process. Of several changes that become one message, the
//! last one's counts, as its snapshot does. The relay publishes it in the headers `traceparent` and `tracestate`.
//!
//! # What comes from outside
//! A trace context is often a header of somebody's request, and no change may fail for it. So it is checked where it is made: a malformed
//! `traceparent` gives no [`TraceContext`], and a malformed `tracestate` is left out, as the recommendation of the W3C has it. At the staging
//! call nothing can be wrong any more.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use dionysus_core::headers;
use serde_json::{Map, Value};

use crate::{Error, OutboxOptions, OutboxTransaction, Stage};

/// Bytes of a `traceparent`: version 00 has 55, later versions may add to it.
const TRACEPARENT_BYTES_MAX: usize = 128;

/// Bytes of a `tracestate`: what the recommendation asks everybody to carry. It leaves the rest of the 1,024 bytes that
/// [`DEFAULT_MAX_MESSAGE_BYTES`](crate::TopicBuilder::DEFAULT_MAX_MESSAGE_BYTES) keeps for headers to our own.
const TRACESTATE_BYTES_MAX: usize = 512;

/// Members of a `tracestate`.
const MEMBERS_MAX: usize = 32;

/// Members above this go first when a `tracestate` is too long.
const MEMBER_BYTES_LONG: usize = 128;

/// A trace context in the text form of the W3C.
///
/// # Examples
/// ```
/// use dionysus_producer::TraceContext;
///
/// let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let context = TraceContext::new(parent, Some("rojo=00f067aa0ba902b7"))?;
/// assert_eq!(context.traceparent(), parent);
/// assert_eq!(context.tracestate(), Some("rojo=00f067aa0ba902b7"));
///
/// assert!(TraceContext::new("not a traceparent", None).is_err());
/// # Ok::<(), dionysus_producer::Error>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct TraceContext {
    traceparent: String,
    tracestate: Option<String>,
}

impl TraceContext {
    /// Checks the two headers. A `tracestate` that is malformed is left out; one above 512 bytes loses whole members, those above 128
    /// bytes first, then from its end.
    ///
    /// # Errors
    /// [`Error::TraceContext`] for a malformed `traceparent`. With a header of a request, `TraceContext::new(..).ok()` is right: a
    /// caller's mistake is no reason to refuse the request.
    pub fn new(traceparent: &str, tracestate: Option<&str>) -> Result<Self, Error> {
        check_traceparent(traceparent).map_err(|fault| Error::TraceContext { fault })?;
        Ok(Self {
            traceparent: traceparent.to_owned(),
            tracestate: tracestate.and_then(normalised_tracestate),
        })
    }

    /// The header `traceparent`.
    pub fn traceparent(&self) -> &str {
        &self.traceparent
    }

    /// The header `tracestate`, if there is one.
    pub fn tracestate(&self) -> Option<&str> {
        self.tracestate.as_deref()
    }

    fn into_headers(self) -> Arc<Value> {
        let mut fields = Map::new();
        fields.insert(headers::TRACEPARENT.to_owned(), self.traceparent.into());
        if let Some(tracestate) = self.tracestate {
            fields.insert(headers::TRACESTATE.to_owned(), tracestate.into());
        }
        Arc::new(Value::Object(fields))
    }
}

impl OutboxTransaction<'_> {
    /// The trace context of what is staged from now on, here and in savepoints opened from now on, in place of what
    /// [`OutboxOptions::trace_context`] gives; `None` for none.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn handle(outbox: dionysus_producer::Outbox, header: &str) -> Result<(), dionysus_producer::Error> {
    /// use dionysus_producer::TraceContext;
    ///
    /// let mut tx = outbox.begin().await?;
    /// tx.set_trace_context(TraceContext::new(header, None).ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_trace_context(&mut self, context: Option<TraceContext>) {
        self.stage_mut().set_trace_context(context);
    }
}

impl Stage {
    /// The trace context of what is staged from now on; see [`OutboxTransaction::set_trace_context`].
    pub fn set_trace_context(&mut self, context: Option<TraceContext>) {
        self.tracing = Tracing::Set(context.map(TraceContext::into_headers));
    }
}

/// Where a stage has its trace context from.
#[derive(Clone, Debug, Default)]
pub(crate) enum Tracing {
    /// The outbox's source.
    #[default]
    Source,
    /// The application's word.
    Set(Option<Arc<Value>>),
}

impl Tracing {
    /// The headers for what is staged now.
    pub(crate) fn headers(&self, options: &OutboxOptions) -> Option<Arc<Value>> {
        match self {
            Self::Set(headers) => headers.clone(),
            Self::Source => {
                options.trace_source().and_then(TraceSource::get).map(TraceContext::into_headers)
            }
        }
    }
}

/// An application's source of trace contexts.
#[derive(Clone)]
pub(crate) struct TraceSource(Arc<dyn Fn() -> Option<TraceContext> + Send + Sync>);

impl TraceSource {
    pub(crate) fn new(source: impl Fn() -> Option<TraceContext> + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    fn get(&self) -> Option<TraceContext> {
        (self.0)()
    }
}

impl fmt::Debug for TraceSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TraceSource(..)")
    }
}

/// `00-<32 hex digits>-<16>-<2>`; a later version may go on after another dash.
fn check_traceparent(text: &str) -> Result<(), &'static str> {
    let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |text: &str| text.bytes().all(|b| b == b'0');
    if text.len() > TRACEPARENT_BYTES_MAX || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("it is too long, or not printable");
    }
    let mut parts = text.splitn(5, '-');
    let mut part = |len: usize| parts.next().filter(|part| part.len() == len && hex(part));
    let (Some(version), Some(trace), Some(parent), Some(_flags)) =
        (part(2), part(32), part(16), part(2))
    else {
        return Err("it is not `version-trace-parent-flags` in lower-case hexadecimal digits");
    };
    if version == "ff" {
        return Err("its version is ff");
    }
    if version == "00" && parts.next().is_some() {
        return Err("version 00 has four parts");
    }
    if zero(trace) || zero(parent) {
        return Err("its trace or parent is zero");
    }
    Ok(())
}

/// The members, without white space around them and shortened to what everybody carries; `None` if one is malformed or
/// there is none.
fn normalised_tracestate(text: &str) -> Option<String> {
    let mut members: Vec<&str> =
        text.split(',').map(|member| member.trim_matches([' ', '\t'])).collect();
    members.retain(|member| !member.is_empty());
    let mut keys = HashSet::new();
    let sound = members.iter().all(|member| is_member(member, &mut keys));
    if members.is_empty() || members.len() > MEMBERS_MAX || !sound {
        return None;
    }
    let bytes = |members: &[&str]| members.iter().map(|m| m.len() + 1).sum::<usize>() - 1;
    if bytes(&members) > TRACESTATE_BYTES_MAX {
        members.retain(|member| member.len() <= MEMBER_BYTES_LONG);
    }
    while !members.is_empty() && bytes(&members) > TRACESTATE_BYTES_MAX {
        members.pop();
    }
    (!members.is_empty()).then(|| members.join(","))
}

/// `key=value`, with a key that is not there yet.
fn is_member<'a>(member: &'a str, keys: &mut HashSet<&'a str>) -> bool {
    let Some((key, value)) = member.split_once('=') else {
        return false;
    };
    let begins = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let goes_on = |b: u8| begins(b) || matches!(b, b'_' | b'-' | b'*' | b'/' | b'@');
    let key_sound =
        key.len() <= 256 && key.bytes().next().is_some_and(begins) && key.bytes().all(goes_on);
    let value_sound = (1..=256).contains(&value.len())
        && value.bytes().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b',' | b'='));
    key_sound && value_sound && keys.insert(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn a_traceparent_is_checked_as_the_recommendation_says() {
        let (zeros, upper) = ("0".repeat(32), TRACE.to_uppercase());
        for (text, sound) in [
            (format!("00-{TRACE}-b7ad6b7169203331-01"), true),
            (format!("00-{TRACE}-b7ad6b7169203331-ff"), true),
            (format!("cc-{TRACE}-b7ad6b7169203331-01"), true),
            (format!("cc-{TRACE}-b7ad6b7169203331-01-what-comes"), true),
            (format!("00-{TRACE}-b7ad6b7169203331-01-more"), false),
            (format!("cc-{TRACE}-b7ad6b7169203331-01.more"), false),
            (format!("ff-{TRACE}-b7ad6b7169203331-01"), false),
            (format!("00-{upper}-b7ad6b7169203331-01"), false),
            (format!("00-{zeros}-b7ad6b7169203331-01"), false),
            (format!("00-{TRACE}-0000000000000000-01"), false),
            (format!("00-{TRACE}-b7ad6b7169203331"), false),
            (format!("00-{TRACE}-b7ad6b7169203331-01\n"), false),
            (format!("cc-{TRACE}-b7ad6b7169203331-01-{zeros}{zeros}{zeros}"), false),
            (String::new(), false),
            ("é".to_owned(), false),
        ] {
            let context = TraceContext::new(&text, None);
            assert_eq!(context.is_ok(), sound, "{text:?}");
            if let Err(error) = context {
                assert!(error.remedy().is_some() && error.key().is_none(), "{error:?}");
            }
        }
    }

    #[test]
    fn a_malformed_tracestate_is_left_out_and_a_sound_one_is_kept() {
        let many = (0..33).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        for (text, kept) in [
            ("rojo=00f067aa0ba902b7", Some("rojo=00f067aa0ba902b7")),
            ("a=1 , b@c=2,\t,d=x y", Some("a=1,b@c=2,d=x y")),
            ("1a-_*/=~", Some("1a-_*/=~")),
            ("", None),
            (",", None),
            ("a", None),
            ("a=", None),
            ("=1", None),
            ("A=1", None),
            ("a=1=2", None),
            ("a=é", None),
            ("a=1,a=2", None),
            (many.as_str(), None),
        ] {
            assert_eq!(normalised_tracestate(text).as_deref(), kept, "{text:?}");
        }
    }

    #[test]
    fn a_long_tracestate_loses_long_members_first_and_then_the_last() {
        let member = |key: &str, bytes: usize| format!("{key}={}", "v".repeat(bytes));
        let long = member("long", 200);
        let short: Vec<String> = (0..6).map(|n| member(&format!("k{n}"), 97)).collect();
        let text = format!("{},{long},{}", short[0], short[1..].join(","));
        assert_eq!(normalised_tracestate(&text).unwrap(), short[..5].join(","));
        let fits = format!("{},{long}", short[0]);
        assert_eq!(normalised_tracestate(&fits).unwrap(), fits);
        let only = ["a", "b", "c"].map(|key| member(key, 250)).join(",");
        assert_eq!(normalised_tracestate(&only), None);
    }
}
