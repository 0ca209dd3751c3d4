//! From a changed instance to those that depend on it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Source, qualified};
use crate::replicas::quoted;

/// A chain of tables, read from left to right: the value at its beginning is looked up in `hops[0].enter`, `hops[0].leave` of the rows found in
/// `hops[1].enter`, and so on; what the last hop leaves with is looked up in `column` of the dependants' table.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Path {
    /// Tables between.
    pub hops: Vec<Hop>,
    /// The column of the dependants' table; `None` for its primary key.
    pub column: Option<&'static str>,
}

/// A table on the way.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Hop {
    /// The table.
    pub table: &'static str,
    /// The column by which its rows are found.
    pub enter: &'static str,
    /// The column whose value is looked up next.
    pub leave: &'static str,
}

impl Path {
    /// The table and column in which the first value is looked up, for dependants in `source`.
    pub fn first(&self, source: Source) -> (&'static str, &'static str) {
        match self.hops.first() {
            Some(hop) => (hop.table, hop.enter),
            None => (source.table, self.column(source.primary_key)),
        }
    }

    fn column(&self, primary_key: &'static str) -> &'static str {
        self.column.unwrap_or(primary_key)
    }

    /// The joins from the dependants `t` back to the first hop, and the name under which that stands.
    pub(super) fn joins(&self, primary_key: &'static str) -> (String, String) {
        let (mut joins, mut name, mut column) =
            (String::new(), "t".to_owned(), self.column(primary_key));
        for (i, hop) in self.hops.iter().enumerate().rev() {
            let hop_name = format!("h{i}");
            let (table, leave) = (qualified(hop.table), quoted(hop.leave));
            let column_name = quoted(column);
            // Writing to a String can't fail.
            write!(joins, " join {table} {hop_name} on {hop_name}.{leave} = {name}.{column_name}")
                .ok();
            (name, column) = (hop_name, hop.enter);
        }
        (joins, name)
    }

    /// The form in which it is registered, and stored with a genesis run.
    pub fn to_json(&self) -> Value {
        let hops: Vec<Value> = self
            .hops
            .iter()
            .map(|hop| json!({ "table": hop.table, "enter": hop.enter, "leave": hop.leave }))
            .collect();
        json!({ "hops": hops, "column": self.column })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_joined_from_its_end() {
        let hop = |table, enter| Hop { table, enter, leave: "id" };
        let path = Path {
            hops: vec![hop("regions", "account_id"), hop("app.rentals", "region_id")],
            column: Some("rental_id"),
        };
        let source = Source { table: "bookings", primary_key: "id", select: None };
        assert_eq!(path.first(source), ("regions", "account_id"));
        assert_eq!(
            path.joins("id"),
            (
                " join \"app\".\"rentals\" h1 on h1.\"id\" = t.\"rental_id\" join \"regions\" h0 on h0.\"id\" = h1.\"region_id\"".into(),
                "h0".into()
            )
        );
    }
}
