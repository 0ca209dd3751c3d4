//! Arrays from Postgres's text: `{1,2,NULL}`, `{{a,b},{"c d",e}}`, `[0:1]={a,b}`.

use std::iter::Peekable;
use std::str::Chars;

use crate::JsonWriter;

/// Postgres has at most six dimensions.
const DIMENSIONS_MAX: usize = 6;

const MALFORMED: &str = "its text is not that of an array";

/// Writes the elements that `write` writes one of; null is written here.
pub(super) fn write(
    text: &str,
    separator: char,
    out: &mut JsonWriter,
    write: &impl Fn(&str, &mut JsonWriter),
) {
    // Bounds other than 1 stand before the elements and are not published.
    let body = match text.split_once('=') {
        Some((bounds, body)) if bounds.starts_with('[') => body,
        _ => text,
    };
    let mut reader = Reader { rest: body.chars().peekable(), separator, write };
    if reader.array(out, 1).is_none() || reader.rest.next().is_some() {
        out.refuse(MALFORMED);
    }
}

struct Reader<'t, 'w, W> {
    rest: Peekable<Chars<'t>>,
    separator: char,
    write: &'w W,
}

impl<W: Fn(&str, &mut JsonWriter)> Reader<'_, '_, W> {
    /// `None` for text that is no array.
    fn array(&mut self, out: &mut JsonWriter, dimension: usize) -> Option<()> {
        self.rest.next_if_eq(&'{').filter(|_| dimension <= DIMENSIONS_MAX)?;
        out.begin_array();
        if self.rest.next_if_eq(&'}').is_none() {
            loop {
                out.element();
                match self.rest.peek()? {
                    '{' => self.array(out, dimension + 1)?,
                    '"' => (self.write)(&self.quoted()?, out),
                    _ => self.plain(out)?,
                }
                match self.rest.next()? {
                    '}' => break,
                    next if next == self.separator => {}
                    _ => return None,
                }
            }
        }
        out.end_array();
        Some(())
    }

    fn quoted(&mut self) -> Option<String> {
        self.rest.next();
        let mut element = String::new();
        loop {
            match self.rest.next()? {
                '"' => return Some(element),
                '\\' => element.push(self.rest.next()?),
                c => element.push(c),
            }
        }
    }

    /// The word NULL without quotes is null. What Postgres does not quote holds no escapes.
    fn plain(&mut self, out: &mut JsonWriter) -> Option<()> {
        let mut element = String::new();
        while let Some(c) = self.rest.next_if(|c| *c != self.separator && *c != '}') {
            element.push(c);
        }
        match element.as_str() {
            "" => return None,
            "NULL" => out.null(),
            element => (self.write)(element, out),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, separator: char) -> Option<String> {
        let mut out = JsonWriter::new();
        write(text, separator, &mut out, &|element, out| out.string(element));
        out.finish().ok().map(|json| String::from_utf8(json).unwrap())
    }

    #[test]
    fn elements_are_unquoted_and_null_is_null() {
        for (text, json) in [
            ("{}", "[]"),
            ("{a,b}", r#"["a","b"]"#),
            (
                r#"{a,"b c",NULL,"NULL","q\"uote","back\\slash",""}"#,
                r#"["a","b c",null,"NULL","q\"uote","back\\slash",""]"#,
            ),
            (r#"{"a,b","{}","x=y"}"#, r#"["a,b","{}","x=y"]"#),
            ("{{a,b},{c,d}}", r#"[["a","b"],["c","d"]]"#),
            ("[0:1]={a,b}", r#"["a","b"]"#),
            ("[0:0][1:2]={{a,b}}", r#"[["a","b"]]"#),
            ("{a=b}", r#"["a=b"]"#),
        ] {
            assert_eq!(written(text, ',').as_deref(), Some(json), "{text}");
        }
        let boxes = written("{(1,1),(0,0);(2,2),(1,1)}", ';');
        assert_eq!(boxes.as_deref(), Some(r#"["(1,1),(0,0)","(2,2),(1,1)"]"#));
    }

    #[test]
    fn what_is_no_array_is_refused() {
        for text in
            ["", "a", "{", "{a", "{a,}", "{a}b", r#"{"a}"#, "{a}}", "{{{{{{{1}}}}}}}", "[1:2]"]
        {
            assert_eq!(written(text, ','), None, "{text}");
        }
    }
}
