//! Errors of the other crates as reports: which exit code, which remedy.

use dionysus_service::{Exit, Report};

pub(crate) fn postgres(error: dionysus_postgres::Error) -> Report {
    let exit = match &error {
        error if error.is_schema() || error.is_restored() => Exit::Schema,
        error if error.is_disconnected() => Exit::Unreachable,
        _ => Exit::Failure,
    };
    let remedy = error.remedy();
    Report::of(exit, error, remedy)
}

pub(crate) fn kafka(error: dionysus_kafka::Error) -> Report {
    use dionysus_kafka::Error as E;
    let exit = match &error {
        E::Unreachable { .. } => Exit::Unreachable,
        E::NoBrokers | E::OwnedProperty { .. } | E::Property { .. } | E::Client { .. } => {
            Exit::Config
        }
        _ => Exit::Failure,
    };
    let remedy = error.remedy();
    Report::of(exit, error, remedy)
}
