//! From admitted changes to the rows that Postgres is given: one set of arrays for each shape, that is, for all rows that set the same columns.
//!
//! Snapshots of one producer mostly have one shape; a column that a record does not name must keep its value, hence the groups.

use std::borrow::Cow;

use dionysus_postgres::replicas::Rows;

use crate::change::{Action, Change};
use crate::replica::Replica;

/// Rows of one shape, column by column.
#[derive(Debug)]
struct Group<'a> {
    columns: Vec<usize>,
    values: Vec<Vec<Option<Cow<'a, str>>>>,
    revives: bool,
}

/// What a row says of a column.
#[derive(Clone, Debug, Default)]
enum Cell<'a> {
    #[default]
    Unnamed,
    Set(Option<Cow<'a, str>>),
}

impl Cell<'_> {
    fn is_set(&self) -> bool {
        matches!(self, Self::Set(_))
    }
}

/// The rows of one replica.
#[derive(Debug)]
pub(crate) struct Writes<'r, 'a> {
    replica: &'r Replica,
    groups: Vec<Group<'a>>,
    /// The row at hand, as wide as the table; used again for each row.
    row: Vec<Cell<'a>>,
}

impl<'r, 'a> Writes<'r, 'a> {
    pub(crate) fn new(replica: &'r Replica) -> Self {
        Self { replica, groups: Vec::new(), row: vec![Cell::Unnamed; replica.table.columns.len()] }
    }

    /// Adds the row of a change.
    pub(crate) fn add(&mut self, change: &'a Change<'a>) {
        let replica = self.replica;
        let Action::Write { restores, flags } = change.action else { return };
        for (name, json) in &change.attributes.0 {
            if let Some(&index) = replica.columns.get(&**name) {
                self.row[index] = Cell::Set(replica.table.columns[index].text_of(json));
            }
        }
        if let Some(index) = replica.synced_data {
            self.row[index] = Cell::Set(Some(Cow::Owned(data(change))));
        }
        if let Some(index) = replica.canceled_at.filter(|_| restores) {
            self.row[index] = Cell::Set(None);
        }
        if let Some(index) = replica.flag.filter(|_| flags) {
            self.row[index] = Cell::Set(Some(Cow::Borrowed("true")));
        }
        // Set last: an attribute can't be mapped to the id's column, but the id is worth a belt.
        self.row[replica.id] = Cell::Set(Some(Cow::Borrowed(&*change.id)));
        let revives = replica.flag.is_some() && change.revives && !flags;
        self.move_row(revives);
    }

    /// What each statement is given.
    pub(crate) fn into_rows(self) -> impl Iterator<Item = Rows<'a>> {
        let flag = self.replica.flag;
        self.groups.into_iter().map(move |group| Rows {
            columns: group.columns,
            values: group.values,
            revive: flag.filter(|_| group.revives),
        })
    }

    /// Empties the row at hand into the group of its shape.
    fn move_row(&mut self, revives: bool) {
        let id = self.replica.id;
        let row = &mut self.row;
        let fits = |group: &Group<'_>| {
            group.revives == revives
                && group.columns.iter().all(|&index| row[index].is_set())
                && row.iter().filter(|cell| cell.is_set()).count() == group.columns.len()
        };
        let place = self.groups.iter().position(fits).unwrap_or_else(|| {
            let others = (0..row.len()).filter(|&index| index != id && row[index].is_set());
            let columns: Vec<usize> = std::iter::once(id).chain(others).collect();
            let values = vec![Vec::new(); columns.len()];
            self.groups.push(Group { columns, values, revives });
            self.groups.len() - 1
        });
        let group = &mut self.groups[place];
        for (&index, values) in group.columns.iter().zip(&mut group.values) {
            if let Cell::Set(value) = std::mem::take(&mut row[index]) {
                values.push(value);
            }
        }
    }
}

/// All attributes of the record, as one JSON object.
fn data(change: &Change<'_>) -> String {
    let size: usize =
        change.attributes.0.iter().map(|(name, json)| name.len() + json.len() + 4).sum();
    let mut out = String::with_capacity(size + 2);
    out.push('{');
    for (i, (name, json)) in change.attributes.0.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        match serde_json::to_string(name) {
            Ok(quoted) => out.push_str(&quoted),
            // Strings can always be written.
            Err(_) => continue,
        }
        out.push(':');
        out.push_str(json);
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::testing::{event, of, record};
    use crate::change::{Route, changes};
    use crate::replica::testing::replica;
    use dionysus_core::{ColumnMapping, Removal, ReplicaMapping};

    fn route() -> Route {
        let mut mapping = ReplicaMapping::new("Rental", "rentals");
        mapping.canceled_at = Some("synced_canceled_at".into());
        mapping.synced_data = Some("data".into());
        mapping.removal = Removal::Flag("gone".into());
        mapping.columns = vec![ColumnMapping { attribute: "name".into(), column: "title".into() }];
        let columns = [
            ("title", "text"),
            ("synced_id", "int8"),
            ("synced_canceled_at", "timestamp"),
            ("data", "jsonb"),
            ("gone", "bool"),
        ];
        let mut route = Route { replicas: vec![replica(&mapping, &columns)], ..Route::default() };
        route.models.insert("Rental".into(), 0);
        route
    }

    #[test]
    fn rows_of_one_shape_share_their_arrays() {
        let route = route();
        let records = [
            record(
                &event("rental_updated", "Rental", r#"{"id":1,"name":"a","more":{"x":1}}"#),
                Some(1),
            ),
            record(&event("rental_updated", "Rental", r#"{"name":null,"id":2}"#), Some(1)),
            record(&event("rental_updated", "Rental", r#"{"id":3}"#), Some(1)),
            record(&event("rental_destroyed", "Rental", r#"{"links":{},"id":4}"#), Some(1)),
            record(&event("rental_created", "Rental", r#"{"id":5,"name":"e"}"#), Some(1)),
        ];
        let changes: Vec<_> = records.iter().flat_map(|record| of(&route, record).0).collect();
        let mut writes = Writes::new(&route.replicas[0]);
        for change in &changes {
            writes.add(change);
        }
        let groups: Vec<_> = writes.into_rows().collect();
        let text = |value: &str| Some(Cow::Owned::<str>(value.to_owned()));
        let shapes: Vec<_> = groups
            .iter()
            .map(|rows| (rows.columns.clone(), rows.values[0].len(), rows.revive))
            .collect();
        // Restored: the soft-delete column is nulled. Destroyed: the flag is set. Created: the flag turns off.
        assert_eq!(
            shapes,
            [
                (vec![1, 0, 2, 3], 2, None),
                (vec![1, 2, 3], 1, None),
                (vec![1, 3, 4], 1, None),
                (vec![1, 0, 2, 3], 1, Some(4)),
            ]
        );
        assert_eq!(groups[0].values[0], [text("1"), text("2")]);
        assert_eq!(groups[0].values[1], [text("a"), None]);
        assert_eq!(groups[0].values[2], [None, None]);
        assert_eq!(groups[0].values[3][0], text(r#"{"synced_id":1,"name":"a","more":{"x":1}}"#));
        assert_eq!(groups[2].values[2], [text("true")]);
    }

    #[test]
    fn a_message_without_records_writes_nothing() {
        let route = route();
        let record = record(r#"{"message":[]}"#, Some(1));
        let (changes, ignored) = changes(&route, crate::decode::decode(&record).unwrap()).unwrap();
        assert!(changes.is_empty());
        assert_eq!(ignored, 0);
    }
}
