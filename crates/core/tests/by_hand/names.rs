//! Names of events, models and keys: spec §3.1, §3.3, and rules 9 and 11 of §3.8.

use dionysus_core::EventKind::{Created, Destroyed, Updated};
use dionysus_core::Model;
use dionysus_derive::Publishable;
use uuid::Uuid;

use crate::{bytes, farewell, message};

#[test]
fn events_are_called_after_the_model_as_it_is_written_whatever_its_plural() {
    for (model, event, key) in [
        ("Person", "person_created", "Person:1"),
        ("People", "people_created", "People:1"),
        ("Address", "address_created", "Address:1"),
        ("News", "news_created", "News:1"),
        ("Datum", "datum_created", "Datum:1"),
        ("Tax", "tax_created", "Tax:1"),
        ("LosRecord", "los_record_created", "LosRecord:1"),
        ("BookingsFee", "bookings_fee_created", "BookingsFee:1"),
        ("SMS", "sms_created", "SMS:1"),
        ("SMSMessage", "sms_message_created", "SMSMessage:1"),
        ("V2Rate", "v2_rate_created", "V2Rate:1"),
        ("Core::Booking", "core_booking_created", "Core::Booking:1"),
        (
            "Core::Billing::HTTPInvoice",
            "core_billing_http_invoice_created",
            "Core::Billing::HTTPInvoice:1",
        ),
    ] {
        let model = Model::new(model).unwrap();
        assert_eq!((model.event(Created), model.key("1")), (event.to_owned(), key.to_owned()));
    }
}

#[derive(Publishable)]
#[publishable(
    model = "Core::Billing::HTTPInvoice",
    table = "billing.invoices",
    partition_key = "tenant",
    crate = "dionysus_core"
)]
struct Invoice {
    id: i64,
    #[publishable(hidden)]
    tenant: Uuid,
}

#[test]
fn a_namespaced_model_keeps_its_name_in_key_and_payload_and_underscores_it_in_the_event() {
    let tenant: Uuid = "A81F3C52-0000-4000-8000-00000000000A".parse().unwrap();
    let partition_key = Some("a81f3c52-0000-4000-8000-00000000000a");
    let invoice = Invoice { id: -1, tenant };
    assert_eq!(
        message(Updated, &invoice, &[]),
        bytes(
            "Core::Billing::HTTPInvoice:-1",
            partition_key,
            r#"{"message":[{"event":"core_billing_http_invoice_updated","model_name":"Core::Billing::HTTPInvoice","data":[{"id":-1,"links":{}}]}]}"#,
        )
    );
    assert_eq!(
        farewell(&invoice),
        bytes(
            "Core::Billing::HTTPInvoice:-1",
            partition_key,
            r#"{"message":[{"event":"core_billing_http_invoice_destroyed","model_name":"Core::Billing::HTTPInvoice","data":[{"links":{},"id":-1}]}]}"#,
        )
    );
}

#[derive(Publishable)]
#[publishable(table = "countries", primary_key = "iso_code", crate = "dionysus_core")]
struct Country {
    name: &'static str,
    #[publishable(rename = "code")]
    iso_code: &'static str,
    #[publishable(link = "continent")]
    continent_id: i64,
}

#[test]
fn a_hard_delete_names_the_column_of_a_text_primary_key_and_nothing_else() {
    let country = Country { name: "Poland", iso_code: "PL:<ł>", continent_id: 3 };
    assert_eq!(
        farewell(&country),
        bytes(
            "Country:PL:<ł>",
            None,
            r#"{"message":[{"event":"country_destroyed","model_name":"Country","data":[{"links":{},"iso_code":"PL:\u003cł\u003e"}]}]}"#,
        )
    );
    assert_eq!(
        message(Created, &country, &[]),
        bytes(
            "Country:PL:<ł>",
            None,
            r#"{"message":[{"event":"country_created","model_name":"Country","data":[{"name":"Poland","code":"PL:\u003cł\u003e","links":{"continent":3}}]}]}"#,
        )
    );
}

#[derive(Publishable)]
#[publishable(table = "vehicles", base = "Core::Vehicle", crate = "dionysus_core")]
struct ElectricCar {
    id: i64,
}

#[test]
fn a_hard_deleted_subclass_ends_under_its_bases_name_and_its_own_event() {
    let car = ElectricCar { id: 4 };
    assert_eq!(
        farewell(&car),
        bytes(
            "Core::Vehicle:4",
            None,
            r#"{"message":[{"event":"electric_car_destroyed","model_name":"Core::Vehicle","data":[{"links":{},"id":4}]}]}"#,
        )
    );
    assert_eq!(
        message(Destroyed, &car, &[]),
        bytes(
            "ElectricCar:4",
            None,
            r#"{"message":[{"event":"electric_car_destroyed","model_name":"ElectricCar","data":[{"id":4,"links":{}}]}]}"#,
        )
    );
}
