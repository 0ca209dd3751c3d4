//! The singular of a link's name, as Rails finds it: `bookings` is `booking`, `taxes` is `tax`.
//!
//! It names the attribute of a to-many link, `synced_booking_ids`; a mapping that was written against the gem must find it.

/// `ActiveSupport`'s English singular of an underscored name.
pub(super) fn singular(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    if UNCOUNTABLE.contains(&lower.as_str()) || lower.is_empty() {
        return name.to_owned();
    }
    for (plural, single) in RULES {
        if let Some(matched) = matches(&lower, plural) {
            // Both forms have the same length, and what a rule matches is ASCII.
            return format!("{}{single}", &name[..name.len() - matched]);
        }
    }
    name.to_owned()
}

/// How many bytes at the end the rule replaces. `^` ties a rule to the beginning, `[..]` asks for one of (or, with `^`, none of) the letters
/// before, which stay.
fn matches(name: &str, rule: &str) -> Option<usize> {
    if let Some(whole) = rule.strip_prefix('^') {
        return (name == whole).then_some(whole.len());
    }
    let Some((class, ending)) = rule.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return name.ends_with(rule).then_some(rule.len());
    };
    let before = name.strip_suffix(ending)?.chars().next_back()?;
    let fits = match class.strip_prefix('^') {
        Some(none_of) => !none_of.contains(before),
        None => class.contains(before),
    };
    fits.then_some(ending.len())
}

const UNCOUNTABLE: &[&str] = &[
    "equipment",
    "information",
    "rice",
    "money",
    "species",
    "series",
    "fish",
    "sheep",
    "jeans",
    "police",
];

/// The rules of `ActiveSupport` 7.1, those that it tries first on top: (plural ending, what replaces it).
const RULES: &[(&str, &str)] = &[
    ("zombies", "zombie"),
    ("moves", "move"),
    ("sexes", "sex"),
    ("children", "child"),
    ("people", "person"),
    ("men", "man"),
    ("databases", "database"),
    ("quizzes", "quiz"),
    ("matrices", "matrix"),
    ("vertices", "vertex"),
    ("indices", "index"),
    ("^oxen", "ox"),
    ("aliases", "alias"),
    ("alias", "alias"),
    ("statuses", "status"),
    ("status", "status"),
    ("octopi", "octopus"),
    ("octopus", "octopus"),
    ("viri", "virus"),
    ("virus", "virus"),
    ("^axes", "axis"),
    ("^axis", "axis"),
    ("crises", "crisis"),
    ("crisis", "crisis"),
    ("testes", "testis"),
    ("testis", "testis"),
    ("shoes", "shoe"),
    ("oes", "o"),
    ("buses", "bus"),
    ("bus", "bus"),
    ("^mice", "mouse"),
    ("^lice", "louse"),
    ("xes", "x"),
    ("ches", "ch"),
    ("sses", "ss"),
    ("shes", "sh"),
    ("movies", "movie"),
    ("series", "series"),
    ("[^aeiouy]ies", "y"),
    ("quies", "quy"),
    ("[lr]ves", "f"),
    ("tives", "tive"),
    ("hives", "hive"),
    ("[^f]ves", "fe"),
    ("^analysis", "analysis"),
    ("analyses", "analysis"),
    ("analysis", "analysis"),
    ("bases", "basis"),
    ("basis", "basis"),
    ("diagnoses", "diagnosis"),
    ("diagnosis", "diagnosis"),
    ("parentheses", "parenthesis"),
    ("parenthesis", "parenthesis"),
    ("prognoses", "prognosis"),
    ("prognosis", "prognosis"),
    ("synopses", "synopsis"),
    ("synopsis", "synopsis"),
    ("theses", "thesis"),
    ("thesis", "thesis"),
    ("[ti]a", "um"),
    ("news", "news"),
    ("ss", "ss"),
    ("s", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singulars_are_those_of_rails() {
        for (plural, single) in [
            ("bookings", "booking"),
            ("bookings_fees", "bookings_fee"),
            ("taxes", "tax"),
            ("addresses", "address"),
            ("categories", "category"),
            ("days", "day"),
            ("statuses", "status"),
            ("status", "status"),
            ("people", "person"),
            ("sales_people", "sales_person"),
            ("women", "woman"),
            ("children", "child"),
            ("media", "medium"),
            ("data", "datum"),
            ("analyses", "analysis"),
            ("databases", "database"),
            ("wives", "wife"),
            ("shelves", "shelf"),
            ("archives", "archive"),
            ("photos", "photo"),
            ("heroes", "hero"),
            ("movies", "movie"),
            ("houses", "house"),
            ("prices", "price"),
            ("news", "news"),
            ("sheep", "sheep"),
            ("series", "series"),
            ("address", "address"),
            ("account", "account"),
            ("café", "café"),
            ("", ""),
        ] {
            assert_eq!(singular(plural), single, "{plural}");
        }
    }
}
