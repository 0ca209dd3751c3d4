//! What changed between two contracts, and whom it hurts.
//!
//! # The question
//! *Can a consumer that was right about the old contract meet a message that it does not expect?* Then the change is breaking. So what is
//! written may become less (a label that no longer comes, null that no longer comes), not more. Two kinds are breaking though no new JSON type comes:
//! a text that becomes another kind of text, because the values of a column that changes its type are not written as before, and a key or
//! partition key that becomes another, because a consumer rests on the order within a partition.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::compare::{Comparison, compare_snapshots};
use super::{ModelContract, TopicContract};

/// One difference between two contracts.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Change {
    /// The topic.
    pub topic: String,
    /// The model, if it is of one.
    pub model: Option<String>,
    /// Where in the snapshot: `price`, `links.account`, `bookings_fees[].amount`; `None` for what is no part of it.
    pub place: Option<String>,
    /// What kind of change it is.
    #[serde(rename = "change")]
    pub kind: ChangeKind,
    /// The old and the new state in words.
    pub detail: String,
    /// [`ChangeKind::is_breaking`].
    pub breaking: bool,
}

/// The kinds of changes, each of which is always breaking or never.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// A topic is new.
    TopicAdded,
    /// A topic is gone.
    TopicRemoved,
    /// A topic has a genesis twin now.
    GenesisAdded,
    /// The genesis twin is gone.
    GenesisRemoved,
    /// Another number of partitions: instances move, and their order is not kept at that moment.
    PartitionsChanged,
    /// A model is new in its topic.
    ModelAdded,
    /// A model is gone from its topic.
    ModelRemoved,
    /// Another attribute is the primary key, or hard deletes come under another key.
    KeyChanged,
    /// The partition key comes from elsewhere.
    PartitionKeyChanged,
    /// Instances can be soft-deleted now: their `destroyed` may hold the whole snapshot.
    SoftDeleteAdded,
    /// Instances are no longer soft-deleted, or by another column.
    SoftDeleteChanged,
    /// An attribute is new.
    AttributeAdded,
    /// An attribute is gone, or no longer always there.
    AttributeRemoved,
    /// A link is new.
    LinkAdded,
    /// A link is gone.
    LinkRemoved,
    /// A part is new.
    PartAdded,
    /// A part is gone.
    PartRemoved,
    /// Values are written as another type.
    TypeChanged,
    /// The type was any, and is now known.
    TypeSpecified,
    /// Greater or smaller numbers than before can come.
    RangeWidened,
    /// Some numbers can no longer come.
    RangeNarrowed,
    /// A label is new.
    LabelAdded,
    /// A label can no longer come.
    LabelRemoved,
    /// Null can come now.
    NullAdded,
    /// Null can no longer come.
    NullRemoved,
}

impl ChangeKind {
    /// Whether a consumer of the old contract can trip over it.
    pub fn is_breaking(self) -> bool {
        match self {
            Self::TopicRemoved
            | Self::GenesisRemoved
            | Self::PartitionsChanged
            | Self::ModelRemoved
            | Self::KeyChanged
            | Self::PartitionKeyChanged
            | Self::SoftDeleteChanged
            | Self::AttributeRemoved
            | Self::LinkRemoved
            | Self::PartRemoved
            | Self::TypeChanged
            | Self::RangeWidened
            | Self::LabelAdded
            | Self::NullAdded => true,
            Self::TopicAdded
            | Self::GenesisAdded
            | Self::ModelAdded
            | Self::SoftDeleteAdded
            | Self::AttributeAdded
            | Self::LinkAdded
            | Self::PartAdded
            | Self::TypeSpecified
            | Self::RangeNarrowed
            | Self::LabelRemoved
            | Self::NullRemoved => false,
        }
    }
}

/// All changes, in the order of the old topics; what is new comes last.
pub fn diff(old: &[TopicContract], new: &[TopicContract]) -> Vec<Change> {
    let mut changes = Vec::new();
    let names = |topics: &[TopicContract]| -> BTreeSet<String> {
        topics.iter().map(|topic| topic.name.clone()).collect()
    };
    let known = names(old);
    for before in old {
        let mut found = Found { topic: &before.name, model: None, changes: &mut changes };
        match new.iter().find(|after| after.name == before.name) {
            Some(after) => topic(before, after, &mut found),
            None => found.add(None, ChangeKind::TopicRemoved, "the topic is gone"),
        }
    }
    for after in new.iter().filter(|after| !known.contains(&after.name)) {
        let mut found = Found { topic: &after.name, model: None, changes: &mut changes };
        found.add(None, ChangeKind::TopicAdded, "the topic is new");
    }
    changes
}

/// Where changes are found, and what they are collected in.
struct Found<'a> {
    topic: &'a str,
    model: Option<&'a str>,
    changes: &'a mut Vec<Change>,
}

impl Found<'_> {
    fn of_model<'b>(&'b mut self, model: &'b str) -> Found<'b> {
        Found { topic: self.topic, model: Some(model), changes: self.changes }
    }

    fn add(&mut self, place: Option<String>, kind: ChangeKind, detail: impl Into<String>) {
        self.changes.push(Change {
            topic: self.topic.to_owned(),
            model: self.model.map(str::to_owned),
            place,
            kind,
            detail: detail.into(),
            breaking: kind.is_breaking(),
        });
    }
}

fn topic(old: &TopicContract, new: &TopicContract, found: &mut Found<'_>) {
    match (old.genesis_replica, new.genesis_replica) {
        (true, false) => found.add(None, ChangeKind::GenesisRemoved, "the genesis twin is gone"),
        (false, true) => found.add(None, ChangeKind::GenesisAdded, "it has a genesis twin"),
        _ => {}
    }
    if let (Some(before), Some(after)) = (old.partitions, new.partitions)
        && before != after
    {
        let detail = format!("{before} partitions became {after}");
        found.add(None, ChangeKind::PartitionsChanged, detail);
    }
    for before in &old.models {
        let mut of_model = found.of_model(&before.name);
        match new.models.iter().find(|after| after.name == before.name) {
            Some(after) => model(before, after, &mut of_model),
            None => of_model.add(None, ChangeKind::ModelRemoved, "the model is gone"),
        }
    }
    let is_new = |model: &&ModelContract| !old.models.iter().any(|known| known.name == model.name);
    for after in new.models.iter().filter(is_new) {
        let mut of_model = found.of_model(&after.name);
        of_model.add(None, ChangeKind::ModelAdded, "the model is new");
    }
}

fn model(old: &ModelContract, new: &ModelContract, found: &mut Found<'_>) {
    if (&old.id, &old.primary_key) != (&new.id, &new.primary_key) {
        let named = |model: &ModelContract| match (&model.id, &model.primary_key) {
            (id, column) if id == column => format!("`{id}`"),
            (id, column) => format!("`{id}` (of the column `{column}`)"),
        };
        let detail = format!("the primary key {} became {}", named(old), named(new));
        found.add(None, ChangeKind::KeyChanged, detail);
    }
    if old.destroyed_as() != new.destroyed_as() {
        let (before, after) = (old.destroyed_as(), new.destroyed_as());
        let detail = format!("hard deletes came under the key of `{before}`, now of `{after}`");
        found.add(None, ChangeKind::KeyChanged, detail);
    }
    if old.partition_key != new.partition_key {
        let (before, after) = (source(&old.partition_key), source(&new.partition_key));
        found.add(None, ChangeKind::PartitionKeyChanged, format!("{before} became {after}"));
    }
    match (&old.soft_delete, &new.soft_delete) {
        (None, Some(column)) => {
            let detail = format!("instances can be soft-deleted by `{column}`");
            found.add(None, ChangeKind::SoftDeleteAdded, detail);
        }
        (Some(column), None) => {
            let detail = format!("instances are no longer soft-deleted by `{column}`");
            found.add(None, ChangeKind::SoftDeleteChanged, detail);
        }
        (Some(before), Some(after)) if before != after => {
            let detail = format!("the soft delete by `{before}` became one by `{after}`");
            found.add(None, ChangeKind::SoftDeleteChanged, detail);
        }
        _ => {}
    }
    let compared = compare_snapshots(old.schema.as_value(), new.schema.as_value());
    for Comparison { place, kind, detail } in compared {
        found.add(Some(place), kind, detail);
    }
}

/// A partition key in words.
fn source(key: &Value) -> String {
    match key["attribute"].as_str() {
        Some(attribute) if key["integer"] == true => format!("the integer of `{attribute}`"),
        Some(attribute) => format!("`{attribute}`"),
        None if key["computed"] == true => "a computed partition key".into(),
        None => "the message's key".into(),
    }
}
