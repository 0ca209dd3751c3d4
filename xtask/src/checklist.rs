//! `docs/reference/checklist.md` and `docs/reference/weaknesses.md`: each line of the specification's checklist and each weakness that it found in
//! the gem, our answer, and the tests that show it.
//!
//! A page that names tests is true for as long as something reads it. Here all their names are looked up in the test programs that were just built.

mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};

use self::table::{Answer, Page, Row};
use crate::command::workspace;
use crate::test_programs::TestProgram;

const PAGES: [Page; 2] = [
    Page {
        path: "docs/reference/checklist.md",
        prefix: "",
        lines: 148,
        answers: &[Answer::Same, Answer::Stronger, Answer::NotApplicable, Answer::Open],
    },
    // To be the same here would be to have it.
    Page {
        path: "docs/reference/weaknesses.md",
        prefix: "W",
        lines: 62,
        answers: &[Answer::Stronger, Answer::NotApplicable, Answer::Open],
    },
];

/// Checks the pages against the programs, and says how many lines have which answer.
///
/// # Errors
/// Everything that is wrong with the pages, at once.
pub(crate) async fn check(programs: &[TestProgram]) -> Result<String> {
    let mut tests = Tests::default();
    for program in programs {
        tests.add(&program.package, &program.target, &program.tests().await?);
    }
    let (mut summaries, mut faults) = (Vec::new(), Vec::new());
    for page in &PAGES {
        let (rows, mut found) = page.parse(&read(page)?);
        found.extend(tests.missing(&rows));
        faults.extend(
            found.into_iter().map(|(line, fault)| format!("{}:{line}: {fault}", page.path)),
        );
        summaries.push(summary(page, &rows));
    }
    let Some(first) = faults.first() else {
        return Ok(summaries.join("\n"));
    };
    for fault in &faults {
        println!("{fault}");
    }
    bail!("{} faults, the first: {first}", faults.len());
}

fn read(page: &Page) -> Result<String> {
    let path = workspace().join(page.path);
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", page.path))
}

/// The tests of the workspace by the names that the pages give them.
#[derive(Debug, Default)]
struct Tests {
    names: BTreeSet<String>,
    /// By the test's own name, for those that moved.
    by_last: BTreeMap<String, String>,
}

impl Tests {
    /// A test is called after its crate, without `dionysus-`, then as the program calls it; where a crate has several programs, the program may
    /// stand between.
    fn add(&mut self, package: &str, program: &str, tests: &[String]) {
        let package = package.strip_prefix("dionysus-").unwrap_or(package).replace('-', "_");
        for test in tests {
            let name = format!("{package}::{test}");
            let last = test.rsplit("::").next().unwrap_or(test);
            self.by_last.insert(last.to_owned(), name.clone());
            self.names.insert(name);
            self.names.insert(format!("{package}::{}::{test}", program.replace('-', "_")));
        }
    }

    /// What a page names and no program has: the line in the page, and what is wrong.
    fn missing(&self, rows: &[Row]) -> Vec<(usize, String)> {
        let named = rows.iter().flat_map(|row| row.tests.iter().map(move |test| (row, test)));
        named
            .filter(|(_, test)| !self.names.contains(*test))
            .map(|(row, test)| {
                let mut fault = format!("{} names `{test}`, which no program runs", row.label);
                let last = test.rsplit("::").next().unwrap_or(test);
                if let Some(other) = self.by_last.get(last) {
                    // Writing to a String can't fail.
                    write!(fault, "; did you mean `{other}`?").ok();
                }
                (row.line, fault)
            })
            .collect()
    }
}

fn summary(page: &Page, rows: &[Row]) -> String {
    let mut text = format!("{}: {} lines", page.path, rows.len());
    for answer in page.answers {
        let count = rows.iter().filter(|row| row.answer == *answer).count();
        // Writing to a String can't fail.
        write!(text, ", {count} {}", answer.as_str()).ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tests() -> Tests {
        let mut tests = Tests::default();
        tests.add("dionysus-core", "golden", &["a_message_is_met".to_owned()]);
        tests.add("dionysus-core", "dionysus_core", &["names::tests::keys".to_owned()]);
        tests.add("dionysus", "types", &["every_type".to_owned()]);
        tests
    }

    fn row(tests: &[&str]) -> Row {
        let tests = tests.iter().map(|test| (*test).to_owned()).collect();
        Row { line: 9, label: "3".to_owned(), answer: Answer::Same, tests }
    }

    #[test]
    fn a_test_is_found_by_its_crate_with_or_without_its_program() {
        let named = [
            "core::a_message_is_met",
            "core::golden::a_message_is_met",
            "core::names::tests::keys",
            "dionysus::types::every_type",
        ];
        assert_eq!(tests().missing(&[row(&named)]), []);
    }

    #[test]
    fn a_test_that_no_program_has_is_told_with_its_line_and_where_it_may_have_gone() {
        let found = tests().missing(&[row(&["core::json::tests::keys", "core::nowhere"])]);
        assert_eq!(
            found,
            [
                (
                    9,
                    "3 names `core::json::tests::keys`, which no program runs; did you mean `core::names::tests::keys`?"
                        .to_owned()
                ),
                (9, "3 names `core::nowhere`, which no program runs".to_owned()),
            ]
        );
    }

    #[test]
    fn the_pages_of_this_repository_are_well_formed() {
        for page in &PAGES {
            let (rows, faults) = page.parse(&read(page).unwrap());
            assert_eq!(faults, [], "{}", page.path);
            println!("{}", summary(page, &rows));
        }
    }
}
