//! Reading a page's tables.

use std::collections::BTreeMap;

/// A page that answers each of so many numbered lines of the specification.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) path: &'static str,
    /// What stands before each number.
    pub(super) prefix: &'static str,
    pub(super) lines: u16,
    /// The answers that it may give.
    pub(super) answers: &'static [Answer],
}

/// One line, answered.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Row {
    /// Where it stands in the page, counted from 1.
    pub(super) line: usize,
    /// The number with its prefix.
    pub(super) label: String,
    pub(super) answer: Answer,
    pub(super) tests: Vec<String>,
}

/// How a line is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    /// As it says.
    Same,
    /// By something that gives more.
    Stronger,
    /// By there being nothing that it could be asked of.
    NotApplicable,
    /// Not yet.
    Open,
}

impl Answer {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Stronger => "stronger",
            Self::NotApplicable => "not applicable",
            Self::Open => "open",
        }
    }
}

impl Page {
    /// The rows of all tables that begin with a column `#`, and everything that is wrong with them: the line in the page, and the fault.
    pub(super) fn parse(&self, text: &str) -> (Vec<Row>, Vec<(usize, String)>) {
        let (mut rows, mut faults) = (Vec::new(), Vec::new());
        let mut inside = false;
        for (line, text) in (1..).zip(text.lines()) {
            let Some(cells) = cells(text) else {
                inside = false;
                continue;
            };
            let head = cells[0] == "#";
            inside |= head;
            if !inside || head || is_rule(&cells) {
                continue;
            }
            match self.row(line, &cells) {
                Ok(row) => rows.push(row),
                Err(fault) => faults.push((line, fault)),
            }
        }
        faults.extend(self.miscounted(&rows, text.lines().count()));
        (rows, faults)
    }

    /// Number, line, answer, reason, tests.
    fn row(&self, line: usize, cells: &[String]) -> Result<Row, String> {
        let [label, says, answer, reason, tests] = cells else {
            return Err(format!("{} cells, a row has 5", cells.len()));
        };
        if !self.labels().any(|known| known == *label) {
            return Err(format!("there is no line `{label}`"));
        }
        if says.is_empty() {
            return Err(format!("{label} does not say what it answers"));
        }
        let answer = self
            .answers
            .iter()
            .copied()
            .find(|known| known.as_str() == answer)
            .ok_or_else(|| format!("{label} is answered `{answer}`, which is no answer"))?;
        if answer != Answer::Same && reason.is_empty() {
            return Err(format!("{label} is answered `{}` without a reason", answer.as_str()));
        }
        let tests = names(tests).map_err(|rest| format!("{label}: `{rest}` is no test's name"))?;
        match (answer, tests.is_empty()) {
            (Answer::Same | Answer::Stronger, true) => Err(format!("{label} names no test")),
            (Answer::Open, false) => Err(format!("{label} is open, but names a test")),
            _ => Ok(Row { line, label: label.clone(), answer, tests }),
        }
    }

    fn labels(&self) -> impl Iterator<Item = String> {
        (1..=self.lines).map(|number| format!("{}{number}", self.prefix))
    }

    fn miscounted(&self, rows: &[Row], end: usize) -> Vec<(usize, String)> {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut faults = Vec::new();
        for row in rows {
            if let Some(first) = seen.insert(&row.label, row.line) {
                let twice = format!("{} is there twice, first in line {first}", row.label);
                faults.push((row.line, twice));
            }
        }
        let missing = self.labels().filter(|label| !seen.contains_key(label.as_str()));
        faults.extend(missing.map(|label| (end, format!("{label} is missing"))));
        faults
    }
}

/// The cells of a line of a table; `\|` is part of a cell.
fn cells(text: &str) -> Option<Vec<String>> {
    let inner = text.trim().strip_prefix('|')?;
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    let mut cells = vec![String::new()];
    let mut characters = inner.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, cells.last_mut()) {
            ('|', _) => cells.push(String::new()),
            ('\\', Some(cell)) if characters.next_if_eq(&'|').is_some() => cell.push('|'),
            (_, Some(cell)) => cell.push(c),
            (_, None) => {}
        }
    }
    Some(cells.iter().map(|cell| cell.trim().to_owned()).collect())
}

/// The line below a head.
fn is_rule(cells: &[String]) -> bool {
    cells.iter().all(|cell| cell.chars().all(|c| matches!(c, '-' | ':' | ' ')))
}

/// The names between back-ticks, which commas and line breaks part.
fn names(cell: &str) -> Result<Vec<String>, &str> {
    let mut names = Vec::new();
    for (i, part) in cell.split('`').enumerate() {
        if i % 2 == 1 {
            let legal = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
            if part.is_empty() || !part.chars().all(legal) {
                return Err(part);
            }
            names.push(part.to_owned());
        } else if !part.replace("<br>", "").chars().all(|c| matches!(c, ',' | ' ')) {
            return Err(part.trim());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const PAGE: Page = Page {
        path: "page.md",
        prefix: "",
        lines: 148,
        answers: &[Answer::Same, Answer::Stronger, Answer::NotApplicable, Answer::Open],
    };

    /// The text of a page with all lines, these in the place of their own.
    fn text(page: &Page, special: &[&str]) -> String {
        let label = |row: &str| row[2..].split(' ').next().unwrap().to_owned();
        let taken: Vec<String> = special.iter().map(|row| label(row)).collect();
        let mut text = "| answer | means |\n\n| # | line | answer | why | tests |\n| ---: | --- | --- | --- | --- |\n".to_owned();
        for row in special {
            text.push_str(row);
            text.push('\n');
        }
        for label in page.labels().filter(|label| !taken.contains(label)) {
            writeln!(text, "| {label} | text | open | later | |").unwrap();
        }
        text
    }

    fn faults(special: &[&str]) -> Vec<(usize, String)> {
        PAGE.parse(&text(&PAGE, special)).1
    }

    #[test]
    fn every_kind_of_answer_is_read_with_its_tests() {
        let text = text(
            &PAGE,
            &[
                "| 1 | a `<created\\|updated>` | same | | `core::a::b`, `producer::c` |",
                "| 2 | ≠ b | stronger | said so | `core::d`<br>`core::e` |",
                "| 3 | c | not applicable | nothing is stored | |",
            ],
        );
        let (rows, faults) = PAGE.parse(&text);
        assert_eq!(faults, []);
        assert_eq!(rows.len(), 148);
        let tests = ["core::a::b".to_owned(), "producer::c".to_owned()];
        assert_eq!(
            rows[0],
            Row { line: 5, label: "1".to_owned(), answer: Answer::Same, tests: tests.to_vec() }
        );
        assert_eq!((rows[1].answer, rows[1].tests.len()), (Answer::Stronger, 2));
        assert_eq!((rows[2].answer, rows[3].answer), (Answer::NotApplicable, Answer::Open));
    }

    #[test]
    fn a_row_that_says_nothing_or_too_much_is_a_fault_with_its_line() {
        for (row, fault) in [
            ("| 1 | a | similar | | `core::a` |", "1 is answered `similar`, which is no answer"),
            ("| 1 | a | same | | |", "1 names no test"),
            ("| 1 | a | stronger | | `core::a` |", "1 is answered `stronger` without a reason"),
            ("| 1 | a | not applicable | | |", "1 is answered `not applicable` without a reason"),
            ("| 1 | a | open | later | `core::a` |", "1 is open, but names a test"),
            ("| 1 | a | same | | core::a |", "1: `core::a` is no test's name"),
            ("| 1 | a | same | | `core a` |", "1: `core a` is no test's name"),
            ("| 1 | | same | | `core::a` |", "1 does not say what it answers"),
            ("| 1 | a | same | `core::a` |", "4 cells, a row has 5"),
        ] {
            let found = faults(&[row]);
            assert_eq!(found[0], (5, fault.to_owned()));
            assert_eq!(found[1].1, "1 is missing", "what can't be read is not there");
            assert_eq!(found.len(), 2);
        }
        for label in ["1a", "01", "149", "W1"] {
            let row = format!("| {label} | a | open | x | |");
            assert_eq!(faults(&[&row])[0].1, format!("there is no line `{label}`"));
        }
    }

    #[test]
    fn a_line_that_is_there_twice_or_not_at_all_is_a_fault() {
        let twice = ["| 7 | a | open | later | |", "| 7 | a | open | later | |"];
        assert_eq!(faults(&twice), [(6, "7 is there twice, first in line 5".to_owned())]);
        let without = text(&PAGE, &[]).replace("| 148 | text | open | later | |\n", "");
        assert_eq!(PAGE.parse(&without).1, [(151, "148 is missing".to_owned())]);
    }

    #[test]
    fn a_page_has_numbers_and_answers_of_its_own() {
        let answers = &[Answer::Stronger, Answer::Open];
        let page = Page { path: "page.md", prefix: "W", lines: 3, answers };
        let rows = ["| W2 | a | stronger | b | `core::a` |", "| W3 | a | same | | `core::a` |"];
        let (rows, faults) = page.parse(&text(&page, &rows));
        assert_eq!(rows.iter().map(|row| &*row.label).collect::<Vec<_>>(), ["W2", "W1"]);
        let fault = |line, text: &str| (line, text.to_owned());
        assert_eq!(
            faults,
            [fault(6, "W3 is answered `same`, which is no answer"), fault(7, "W3 is missing")]
        );
    }
}
