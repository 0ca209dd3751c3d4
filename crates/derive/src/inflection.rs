//! The names that Rails would derive from a model's.

/// `BookingsFee` is `bookings_fee`, `HTMLTag` is `html_tag`.
pub(crate) fn underscore(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (i, &letter) in letters.iter().enumerate() {
        if letter.is_uppercase() && i > 0 {
            let before = letters[i - 1];
            let starts_word = before.is_lowercase() || before.is_ascii_digit();
            let ends_acronym =
                before.is_uppercase() && letters.get(i + 1).is_some_and(|next| next.is_lowercase());
            if starts_word || ends_acronym {
                out.push('_');
            }
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// `ActiveSupport`'s English plural of an underscored name.
pub(crate) fn plural(name: &str) -> String {
    if UNCOUNTABLE.contains(&name) {
        return name.to_owned();
    }
    for (ending, replacement) in RULES {
        let rest = match ending.strip_prefix('^') {
            Some(whole) => (name == whole).then_some(""),
            None => name.strip_suffix(ending),
        };
        if let Some(rest) = rest {
            return format!("{rest}{replacement}");
        }
    }
    match name.strip_suffix('y') {
        Some(rest) if rest.ends_with("qu") || !rest.ends_with(['a', 'e', 'i', 'o', 'u', 'y']) => {
            format!("{rest}ies")
        }
        _ => match name.strip_suffix("fe").filter(|rest| !rest.ends_with('f')) {
            Some(rest) => format!("{rest}ves"),
            None => format!("{name}s"),
        },
    }
}

const UNCOUNTABLE: [&str; 10] = [
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

/// (ending, what replaces it), those that `ActiveSupport` 7.1 tries first on top. `^` asks for the whole name.
const RULES: [(&str, &str); 39] = [
    ("zombie", "zombies"),
    ("move", "moves"),
    ("sex", "sexes"),
    ("child", "children"),
    ("children", "children"),
    ("person", "people"),
    ("people", "people"),
    ("men", "men"),
    ("man", "men"),
    ("quiz", "quizzes"),
    ("^oxen", "oxen"),
    ("^ox", "oxen"),
    ("^mouse", "mice"),
    ("^louse", "lice"),
    ("matrix", "matrices"),
    ("vertex", "vertices"),
    ("index", "indices"),
    ("x", "xes"),
    ("ch", "ches"),
    ("ss", "sses"),
    ("sh", "shes"),
    ("hive", "hives"),
    ("lf", "lves"),
    ("rf", "rves"),
    ("sis", "ses"),
    ("tum", "ta"),
    ("ium", "ia"),
    ("ta", "ta"),
    ("ia", "ia"),
    ("buffalo", "buffaloes"),
    ("tomato", "tomatoes"),
    ("bus", "buses"),
    ("alias", "aliases"),
    ("status", "statuses"),
    ("octopus", "octopi"),
    ("virus", "viri"),
    ("^axis", "axes"),
    ("^testis", "testes"),
    ("s", "s"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_underscored_as_active_model_does() {
        for (name, underscored) in [
            ("BookingsFee", "bookings_fee"),
            ("HTMLTag", "html_tag"),
            ("Rental2Fee", "rental2_fee"),
        ] {
            assert_eq!(underscore(name), underscored);
        }
    }

    #[test]
    fn plurals_are_those_of_active_support() {
        for (singular, several) in [
            ("bookings_fee", "bookings_fees"),
            ("bookings_tax", "bookings_taxes"),
            ("photo", "photos"),
            ("property", "properties"),
            ("day", "days"),
            ("address", "addresses"),
            ("price_match", "price_matches"),
            ("person", "people"),
            ("woman", "women"),
            ("status", "statuses"),
            ("analysis", "analyses"),
            ("medium", "media"),
            ("half", "halves"),
            ("knife", "knives"),
            ("tariff", "tariffs"),
            ("news", "news"),
            ("box", "boxes"),
            ("ox", "oxen"),
            ("time_series", "time_series"),
            ("colloquy", "colloquies"),
            ("axis", "axes"),
            ("money", "money"),
            ("pocket_money", "pocket_moneys"),
        ] {
            assert_eq!(plural(singular), several, "{singular}");
        }
    }
}
