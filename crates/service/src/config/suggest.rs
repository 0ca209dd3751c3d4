//! Unknown settings, and what was probably meant.

use figment::value::{Dict, Value};

/// What is wrong with a path that the defaults do not hold; `None` if they do.
pub(super) fn unknown(path: &[String], defaults: &Dict) -> Option<String> {
    let mut level = defaults;
    for (depth, key) in path.iter().enumerate() {
        match level.get(key) {
            // A map of the user's own, empty by default.
            Some(Value::Dict(_, inner)) if inner.is_empty() => return None,
            Some(Value::Dict(_, inner)) => level = inner,
            Some(_) if depth + 1 == path.len() => return None,
            // An optional section, absent by default: its type judges what is in it.
            Some(Value::Empty(..)) => return None,
            Some(_) => return Some(format!("`{key}` is a setting and has none below it")),
            None => return Some(describe(key, level)),
        }
    }
    None
}

fn describe(key: &str, level: &Dict) -> String {
    let nearest = level.keys().map(|known| (distance(key, known), known)).min();
    match nearest {
        Some((distance, known)) if distance <= 1 + known.len() / 4 => {
            format!("unknown setting; did you mean `{known}`?")
        }
        _ => {
            let known: Vec<&str> = level.keys().map(String::as_str).collect();
            format!("unknown setting; there are {}", known.join(", "))
        }
    }
}

/// Levenshtein's: how many letters to change, insert or leave out.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (a, b, edits) in
            [("batch", "batch", 0), ("bach", "batch", 1), ("", "abc", 3), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }
}
