//! The recording `02c-links-and-overrides`: computed values, polymorphic links, and a part on either side of its key.

use dionysus_core::{Part, Polymorphic};
use dionysus_derive::Publishable;
use dionysus_producer::Topology;
use sqlx::FromRow;
use uuid::Uuid;

use super::Message::{self, Ours, Recorded};
use super::{holds, watch};

#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "properties", partition_key = "account_id")]
struct Property {
    id: Uuid,
    #[publishable(rename = "title", value = "Self::marked_title")]
    title: Option<String>,
    #[sqlx(skip)]
    #[publishable(value = "Self::shout")]
    shout: (),
    #[sqlx(skip)]
    #[publishable(value = "settings")]
    settings: (),
    #[publishable(hidden)]
    account_id: Option<i64>,
    #[publishable(link = "owner")]
    owner_id: Option<i64>,
    #[sqlx(skip)]
    #[publishable(link = "bookable", value = "Self::bookable")]
    bookable: (),
    #[sqlx(skip)]
    #[publishable(part)]
    photos: Part<Vec<Photo>>,
    #[sqlx(skip)]
    #[publishable(part)]
    owner: Part<Option<Owner>>,
}

impl Property {
    fn marked_title(&self) -> String {
        format!("t:{}", self.title.as_deref().unwrap_or_default())
    }

    fn shout(&self) -> String {
        self.title.as_deref().unwrap_or_default().to_uppercase()
    }

    fn bookable(&self) -> Polymorphic<&'static str, Option<i64>> {
        Polymorphic { model: "Owner", id: self.owner_id }
    }
}

fn settings(_: &Property) -> serde_json::Value {
    serde_json::json!({ "b": 1, "a": { "nested": [1, null, { "x": "sym" }] } })
}

#[derive(FromRow, Publishable)]
#[publishable(
    crate = "dionysus_core",
    table = "owners",
    select = "select o.*, array(select p.id from properties p where p.owner_id = o.id order by p.id) as property_ids from owners o"
)]
struct Owner {
    id: i64,
    name: Option<String>,
    #[publishable(hidden)]
    bookable_type: Option<String>,
    #[publishable(link = "bookable", type_from = "bookable_type")]
    bookable_id: Option<String>,
    #[publishable(links = "properties")]
    property_ids: Vec<Uuid>,
}

#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "photos")]
struct Photo {
    id: i64,
    #[publishable(value = "Self::sized")]
    url: Option<String>,
    #[publishable(link = "property")]
    property_id: Option<Uuid>,
}

impl Photo {
    fn sized(&self) -> Option<String> {
        self.url.as_ref().map(|url| format!("{url}?v=1&w=2"))
    }
}

const PHOTO: &str = r#"{"id":31,"url":"https://x/y?v=1\u0026w=2","links":{"property":"0b0d1a6e-1111-4222-8333-444455556666"}}"#;

fn property(event: &str, ids: &str, photos: &str) -> Message {
    Ours(
        "Property:0b0d1a6e-1111-4222-8333-444455556666",
        Some("3"),
        format!(
            r#"{{"event":"{event}","model_name":"Property","data":[{{"id":"0b0d1a6e-1111-4222-8333-444455556666","title":"t:Château","shout":"CHÂTEAU","settings":{{"b":1,"a":{{"nested":[1,null,{{"x":"sym"}}]}}}},"links":{{"owner":5,"bookable":{{"type":"Owner","id":5}},"photos":[{ids}]}},"photos":[{photos}],"owner":{{"id":5,"name":"Zoë","links":{{"bookable":{{"type":"Rental","id":"77"}},"properties":["0b0d1a6e-1111-4222-8333-444455556666"]}}}}}}]}}"#
        ),
    )
}

#[tokio::test]
async fn computed_values_links_and_parts_of_both_kinds_are_those_of_the_recording() {
    let topology = Topology::builder()
        .integer_partition_keys()
        .namespace("v3", |ns| {
            ns.topic("properties", |t| t.publish::<Property>().with::<Photo>().with::<Owner>())
        })
        .build()
        .unwrap();
    holds(
        "02c-links-and-overrides",
        topology,
        vec![watch::<Property>(), watch::<Photo>(), watch::<Owner>()],
        &[
            // The gem reads after all four transactions; ours are what each committed.
            (
                1,
                &[
                    property("property_created", "", ""),
                    property("property_updated", "31", PHOTO),
                    Recorded(2, 0),
                ],
            ),
            (3, &[Recorded(4, 0)]),
            (5, &[Recorded(6, 0)]),
            (7, &[Recorded(8, 0)]),
        ],
    )
    .await;
}
