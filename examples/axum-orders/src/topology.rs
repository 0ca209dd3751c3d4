//! What is published, where, and because of what.

use dionysus::{Topology, producer};

use crate::models::{Customer, Order, OrderLine};

/// Two topics: customers; and orders with their lines, published again when a line changes, or the name of their customer.
pub(crate) fn topology(namespace: &str) -> Result<Topology, producer::Error> {
    Topology::builder()
        .namespace(namespace, |ns| {
            ns.topic("customers", |topic| topic.publish::<Customer>()).topic("orders", |topic| {
                topic
                    .publish::<Order>()
                    .with::<OrderLine>()
                    .observe::<Customer>(["name"], "customer_id")
            })
        })
        .build()
}
