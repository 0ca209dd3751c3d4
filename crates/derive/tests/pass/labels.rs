extern crate dionysus_core as dionysus;

use dionysus::Attribute as _;
use dionysus_derive::Attribute;

#[derive(Attribute)]
#[publishable(rename_all = "SCREAMING_SNAKE_CASE")]
enum State {
    OnHold,
    #[publishable(rename = "<done>")]
    Done,
}

macro_rules! states {
    ($($case:literal: $label:literal),+) => {
        $({
            #[derive(Attribute)]
            #[publishable(rename_all = $case)]
            enum State {
                OnHold,
            }
            assert_eq!(State::OnHold.text().as_deref(), Some($label));
        })+
    };
}

fn main() {
    assert_eq!(State::OnHold.text().as_deref(), Some("ON_HOLD"));
    assert_eq!(State::Done.text().as_deref(), Some("<done>"));
    assert_eq!(State::schema(), dionysus::Schema::labels(["ON_HOLD", "<done>"]));
    states! {
        "lowercase": "onhold",
        "UPPERCASE": "ONHOLD",
        "snake_case": "on_hold",
        "kebab-case": "on-hold",
        "camelCase": "onHold",
        "PascalCase": "OnHold"
    }
}
