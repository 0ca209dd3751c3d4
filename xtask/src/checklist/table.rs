//! Reading the page's tables.

use std::collections::BTreeMap;

/// How many lines the specification's checklist has.
const LINES: u16 = 148;

/// One line of the checklist.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Row {
    /// Where it stands in the page, counted from 1.
    pub(super) line: usize,
    pub(super) number: u16,
    pub(super) answer: Answer,
    pub(super) tests: Vec<String>,
}

/// How a line of the checklist is answered.
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
    pub(super) const ALL: [Self; 4] = [Self::Same, Self::Stronger, Self::NotApplicable, Self::Open];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Stronger => "stronger",
            Self::NotApplicable => "not applicable",
            Self::Open => "open",
        }
    }
}

/// The rows of all tables that begin with a column `#`, and everything that is wrong with them: the line in the page, and the fault.
pub(super) fn parse(page: &str) -> (Vec<Row>, Vec<(usize, String)>) {
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    let mut inside = false;
    for (line, text) in (1..).zip(page.lines()) {
        let Some(cells) = cells(text) else {
            inside = false;
            continue;
        };
        let head = cells[0] == "#";
        inside |= head;
        if !inside || head || is_rule(&cells) {
            continue;
        }
        match row(line, &cells) {
            Ok(row) => rows.push(row),
            Err(fault) => faults.push((line, fault)),
        }
    }
    faults.extend(miscounted(&rows, page.lines().count()));
    (rows, faults)
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

/// Number, line, answer, reason, tests.
fn row(line: usize, cells: &[String]) -> Result<Row, String> {
    let [number, says, answer, reason, tests] = cells else {
        return Err(format!("{} cells, a row has 5", cells.len()));
    };
    let number: u16 = number.parse().map_err(|_| format!("`{number}` is no number of a line"))?;
    if !(1..=LINES).contains(&number) {
        return Err(format!("there is no line {number}"));
    }
    if says.is_empty() {
        return Err(format!("{number} does not say what it answers"));
    }
    let answer = Answer::ALL
        .into_iter()
        .find(|known| known.as_str() == answer)
        .ok_or_else(|| format!("{number} is answered `{answer}`, which is no answer"))?;
    if answer != Answer::Same && reason.is_empty() {
        return Err(format!("{number} is answered `{}` without a reason", answer.as_str()));
    }
    let tests = names(tests).map_err(|rest| format!("{number}: `{rest}` is no test's name"))?;
    match (answer, tests.is_empty()) {
        (Answer::Same | Answer::Stronger, true) => Err(format!("{number} names no test")),
        (Answer::Open, false) => Err(format!("{number} is open, but names a test")),
        _ => Ok(Row { line, number, answer, tests }),
    }
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

fn miscounted(rows: &[Row], end: usize) -> Vec<(usize, String)> {
    let mut seen: BTreeMap<u16, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for row in rows {
        if let Some(first) = seen.insert(row.number, row.line) {
            faults
                .push((row.line, format!("{} is there twice, first in line {first}", row.number)));
        }
    }
    let missing = (1..=LINES).filter(|number| !seen.contains_key(number));
    faults.extend(missing.map(|number| (end, format!("{number} is missing"))));
    faults
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// A page with all lines, these in the place of their own.
    fn page(special: &[&str]) -> String {
        let number = |row: &str| row[2..].split(' ').next().unwrap().to_owned();
        let taken: Vec<String> = special.iter().map(|row| number(row)).collect();
        let mut page = "| answer | means |\n\n| # | line | answer | why | tests |\n| ---: | --- | --- | --- | --- |\n".to_owned();
        for row in special {
            page.push_str(row);
            page.push('\n');
        }
        for number in (1..=LINES).filter(|n| !taken.contains(&n.to_string())) {
            writeln!(page, "| {number} | text | open | later | |").unwrap();
        }
        page
    }

    fn faults(special: &[&str]) -> Vec<(usize, String)> {
        parse(&page(special)).1
    }

    #[test]
    fn every_kind_of_answer_is_read_with_its_tests() {
        let page = page(&[
            "| 1 | a `<created\\|updated>` | same | | `core::a::b`, `producer::c` |",
            "| 2 | ≠ b | stronger | said so | `core::d`<br>`core::e` |",
            "| 3 | c | not applicable | nothing is stored | |",
        ]);
        let (rows, faults) = parse(&page);
        assert_eq!(faults, []);
        assert_eq!(rows.len(), usize::from(LINES));
        let tests = ["core::a::b".to_owned(), "producer::c".to_owned()];
        assert_eq!(
            rows[0],
            Row { line: 5, number: 1, answer: Answer::Same, tests: tests.to_vec() }
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
        assert_eq!(faults(&["| 1a | a | same | | `c` |"])[0].1, "`1a` is no number of a line");
        assert_eq!(faults(&["| 149 | a | open | x | |"])[0].1, "there is no line 149");
    }

    #[test]
    fn a_line_that_is_there_twice_or_not_at_all_is_a_fault() {
        let twice = ["| 7 | a | open | later | |", "| 7 | a | open | later | |"];
        assert_eq!(faults(&twice), [(6, "7 is there twice, first in line 5".to_owned())]);
        let without = page(&[]).replace("| 148 | text | open | later | |\n", "");
        assert_eq!(parse(&without).1, [(151, "148 is missing".to_owned())]);
    }
}
