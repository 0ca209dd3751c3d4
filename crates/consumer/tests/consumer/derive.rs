//! A mapping by derive and one by configuration are one value.

use dionysus_consumer::{Replica as _, ReplicaMapping};
use dionysus_derive::Replica;

#[derive(Replica)]
#[replica(model = "Rental", table = "rentals", crate = "dionysus_core")]
#[expect(dead_code, reason = "it mirrors a row; this test reads its mapping alone")]
struct Rental {
    synced_id: i64,
    name: String,
    #[replica(from = "links.account")]
    account_id: Option<i64>,
}

#[test]
fn a_derived_mapping_is_that_of_a_configuration() {
    let written: ReplicaMapping = toml::from_str(
        r#"
        model = "Rental"
        table = "rentals"
        columns = ["name", { attribute = "synced_account_id", column = "account_id" }]
        "#,
    )
    .unwrap();
    assert_eq!(Rental::mapping(), written);
    assert_eq!(written, crate::support::rental());
}
