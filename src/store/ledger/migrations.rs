//! The migrations of the ledger.

/// One migration after another; a database of version N has the first N. A released migration is never
/// changed.
pub(super) const MIGRATIONS: &[&str] = &[
    // Times are microseconds since 1970, for ordering; the exact ones are in the JSON. `ended`, the verdict
    // and the root are filled in independently.
    "CREATE TABLE place (source TEXT PRIMARY KEY, position TEXT NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE watch (one INTEGER PRIMARY KEY CHECK (one = 1), state TEXT NOT NULL) STRICT;
     CREATE TABLE storm (
         number INTEGER PRIMARY KEY,
         event TEXT NOT NULL,
         started INTEGER NOT NULL,
         ended INTEGER,
         verdict TEXT,
         sure TEXT,
         room TEXT,
         root TEXT,
         CHECK ((room IS NULL) = (root IS NULL))
     ) STRICT;
     CREATE INDEX storm_root ON storm (root) WHERE root IS NOT NULL;
     CREATE TABLE owed (id INTEGER PRIMARY KEY AUTOINCREMENT, due TEXT NOT NULL, text TEXT) STRICT;
     CREATE TABLE mute (what TEXT PRIMARY KEY, until INTEGER NOT NULL, asked TEXT NOT NULL) STRICT, WITHOUT ROWID;",
    // The evidence is last: a list does not read it. AUTOINCREMENT prevents the reuse of a number after its
    // case was deleted.
    "CREATE TABLE kase (
         number INTEGER PRIMARY KEY AUTOINCREMENT,
         cause TEXT NOT NULL UNIQUE,
         at INTEGER NOT NULL,
         symptom TEXT NOT NULL,
         subject TEXT NOT NULL,
         user TEXT,
         verdict TEXT NOT NULL,
         certainty TEXT NOT NULL,
         room TEXT NOT NULL,
         thread TEXT NOT NULL,
         asker TEXT NOT NULL,
         answer TEXT,
         evidence BLOB NOT NULL
     ) STRICT;
     CREATE INDEX kase_user ON kase (user, number);
     CREATE INDEX kase_thread ON kase (thread);
     CREATE INDEX kase_answer ON kase (answer) WHERE answer IS NOT NULL;
     CREATE INDEX kase_at ON kase (at);
     CREATE TABLE unwiped (one INTEGER PRIMARY KEY CHECK (one = 1)) STRICT;",
    // `ended` is set once the bundle is posted: open rows are resumed.
    "CREATE TABLE capture (
         number INTEGER PRIMARY KEY AUTOINCREMENT,
         room TEXT NOT NULL,
         root TEXT NOT NULL,
         checklist TEXT,
         state TEXT NOT NULL,
         began INTEGER NOT NULL,
         ended INTEGER,
         bundle TEXT,
         kase INTEGER
     ) STRICT;
     CREATE UNIQUE INDEX capture_room ON capture (room) WHERE ended IS NULL;
     CREATE INDEX capture_root ON capture (root);
     CREATE INDEX capture_checklist ON capture (checklist) WHERE checklist IS NOT NULL;
     CREATE INDEX capture_kase ON capture (kase) WHERE kase IS NOT NULL;",
    // `accepted.event` is the event's digest. `task` is the command, until it is settled. `outgoing.message`
    // is the message, until it is dropped unsent. A message about a case is deleted with the case.
    "CREATE TABLE began (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL) STRICT;
     CREATE TABLE heard (room TEXT PRIMARY KEY, event TEXT NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE accepted (
         number INTEGER PRIMARY KEY AUTOINCREMENT,
         event TEXT NOT NULL UNIQUE,
         room TEXT NOT NULL,
         at INTEGER NOT NULL,
         tries INTEGER NOT NULL DEFAULT 0,
         task TEXT
     ) STRICT;
     CREATE INDEX accepted_open ON accepted (number) WHERE task IS NOT NULL;
     CREATE INDEX accepted_settled ON accepted (number) WHERE task IS NULL;
     CREATE TABLE outgoing (
         id INTEGER PRIMARY KEY AUTOINCREMENT,
         txn TEXT NOT NULL UNIQUE,
         room TEXT NOT NULL,
         message TEXT,
         asked INTEGER NOT NULL,
         summary TEXT NOT NULL,
         kase INTEGER
     ) STRICT;
     CREATE INDEX outgoing_kase ON outgoing (kase) WHERE kase IS NOT NULL;
     CREATE TRIGGER outgoing_goes_with_its_case AFTER DELETE ON kase
         BEGIN DELETE FROM outgoing WHERE kase = OLD.number; END;",
    // Digests, so that no names are stored. Rows stay as long as the Matrix client keeps its keys, which is
    // forever: any old command could be sent again. 100 commands a day are about 6 MB a year.
    "CREATE TABLE command_message (
         message BLOB PRIMARY KEY,
         event BLOB NOT NULL UNIQUE
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE warned (what TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;",
    // Ops rooms that were upgraded, ops rooms that the bot is not in, and the first messages of storms that are
    // posted in two rooms. The trigger does not see a row that is replaced.
    "CREATE TABLE upgrade (
         old TEXT PRIMARY KEY,
         new TEXT NOT NULL,
         proven INTEGER NOT NULL,
         at INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE absence (
         room TEXT PRIMARY KEY,
         how TEXT NOT NULL,
         since INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE storm_copy (
         number INTEGER NOT NULL,
         room TEXT NOT NULL,
         root TEXT NOT NULL,
         PRIMARY KEY (number, room)
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX storm_copy_root ON storm_copy (root);
     CREATE TRIGGER storm_copy_goes_with_its_storm AFTER DELETE ON storm
         BEGIN DELETE FROM storm_copy WHERE number = OLD.number; END;",
];
