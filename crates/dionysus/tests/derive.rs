//! An application names one crate: what the derives expand to is found in it.

use dionysus::{JsonWriter, Publishable, Replica};

#[derive(Publishable)]
#[publishable(table = "notes")]
struct Note {
    id: i64,
    body: Option<String>,
}

#[derive(Replica)]
#[replica(model = "Note", table = "notes_replica")]
#[expect(dead_code, reason = "only its fields' names are of interest")]
struct NoteReplica {
    synced_id: i64,
    body: Option<String>,
    synced_data: serde_json::Value,
}

#[test]
fn both_derives_expand_to_paths_of_this_crate() {
    let note = Note { id: 1, body: None };
    let mut out = JsonWriter::new();
    note.write_snapshot(&mut out);
    assert_eq!(out.finish().unwrap(), br#"{"id":1,"body":null,"links":{}}"#);

    let mapping = NoteReplica::mapping();
    mapping.validate().unwrap();
    assert_eq!(mapping.model, Note::MODEL);
}
