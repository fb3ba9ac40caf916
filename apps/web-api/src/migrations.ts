// The schema, as the steps that made it. A step that was released never changes: add another one.

export const migrations: readonly string[] = [
  `
  CREATE TABLE licences (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE COLLATE NOCASE,
    name TEXT NOT NULL COLLATE NOCASE,
    url TEXT,
    osiApproved INTEGER NOT NULL CHECK (osiApproved IN (0, 1)),
    custom INTEGER NOT NULL CHECK (custom IN (0, 1)),
    policy TEXT NOT NULL CHECK (policy IN ('approved', 'review', 'denied', 'unset')),
    notes TEXT NOT NULL,
    text TEXT NOT NULL,
    revision INTEGER NOT NULL,
    createdAt TEXT NOT NULL,
    updatedAt TEXT NOT NULL
  ) STRICT;
  CREATE INDEX licencesByName ON licences (name, id);
  CREATE INDEX licencesByUpdate ON licences (updatedAt, id);

  -- Grows with each write, so that no two states of a licence ever share a revision, not even after it was deleted and made anew.
  CREATE TABLE revision (value INTEGER NOT NULL) STRICT;
  INSERT INTO revision VALUES (0);

  CREATE TABLE seeds (name TEXT PRIMARY KEY, version TEXT NOT NULL) STRICT;

  CREATE VIRTUAL TABLE search USING fts5 (
    id, name, notes, text,
    content = 'licences', content_rowid = 'seq',
    tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
  );
  CREATE TRIGGER searchInsert AFTER INSERT ON licences BEGIN
    INSERT INTO search (rowid, id, name, notes, text) VALUES (new.seq, new.id, new.name, new.notes, new.text);
  END;
  CREATE TRIGGER searchDelete AFTER DELETE ON licences BEGIN
    INSERT INTO search (search, rowid, id, name, notes, text)
    VALUES ('delete', old.seq, old.id, old.name, old.notes, old.text);
  END;
  CREATE TRIGGER searchUpdate AFTER UPDATE ON licences BEGIN
    INSERT INTO search (search, rowid, id, name, notes, text)
    VALUES ('delete', old.seq, old.id, old.name, old.notes, old.text);
    INSERT INTO search (rowid, id, name, notes, text) VALUES (new.seq, new.id, new.name, new.notes, new.text);
  END;
  `,
];
