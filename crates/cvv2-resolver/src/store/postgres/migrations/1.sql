-- What the store is: one row. Whoever writes cards holds it FOR SHARE, whoever changes keys FOR
-- UPDATE.
CREATE TABLE {schema}.store (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    format smallint NOT NULL,
    index_key bytea NOT NULL,
    current_key smallint NOT NULL
);

-- The keys that rows may be sealed under: an id for messages, a row that proves the key, and how many
-- rows were sealed under it, or may be by those who have reserved them.
CREATE TABLE {schema}.sealing_keys (
    version smallint PRIMARY KEY,
    id bytea NOT NULL,
    proof bytea NOT NULL,
    seals bigint NOT NULL
);

-- How far sealing again is, where it is not done: one row or none.
CREATE TABLE {schema}.resealing (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bytea NOT NULL
);

-- The keyed hash of a reference, and its sealed record. Hashes are spread evenly, so their first three
-- bits cut a table into eight parts of the same size, and a database that spreads rows over machines by
-- the first column of the primary key spreads them evenly too.
CREATE TABLE {schema}.card_references (
    hash bytea NOT NULL,
    bank text COLLATE "C" NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (hash, bank)
) PARTITION BY RANGE (hash);
{partitions card_references}

-- The keyed hash of a PAN, and the sealed card with all its references.
CREATE TABLE {schema}.cards (
    hash bytea NOT NULL,
    bank text COLLATE "C" NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (hash, bank)
) PARTITION BY RANGE (hash);
{partitions cards}

-- How far an import is that is not finished: one row or none. The token is the importer's.
CREATE TABLE {schema}.import (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    token bytea NOT NULL,
    delimiter smallint NOT NULL,
    strict_exids boolean NOT NULL,
    read_bytes bigint NOT NULL,
    read_rows bigint NOT NULL,
    digest bytea NOT NULL,
    added bigint NOT NULL,
    replaced bigint NOT NULL,
    refused bigint NOT NULL,
    is_read boolean NOT NULL
);

-- Its refused rows: a number, a column and a reason, nothing of what was in them.
CREATE TABLE {schema}.import_refusals (
    row_number bigint PRIMARY KEY,
    field text NOT NULL,
    reason text NOT NULL
);
