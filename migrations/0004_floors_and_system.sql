-- What retention leaves behind, and which history the numbers of this database belong to.

-- Below a floor rows may be gone. A floor is committed before the first row at or below it is, by a transaction whose id is `xid`: whoever
-- began after that transaction draws a higher number. Genesis takes the highest floor that is older than its snapshot.
create table dionysus.floors (
    seq        bigint      not null,
    xid        xid8        not null,
    leaf       text        not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint floors_pkey primary key (seq)
);

-- Where this history was last seen. A restore or a failover shows as a difference between this row and the server, or what a relay
-- remembers of it. `timeline` goes up when somebody decides to go on all the same; numbers restart at `timeline << 48`, epochs at
-- `timeline << 16`, which is `first_epoch`.
create table dionysus.system (
    one               boolean     not null default true,
    timeline          bigint      not null default 0,
    first_epoch       bigint      not null default 0,
    system_identifier bigint,
    server_timeline   integer,
    database_oid      bigint,
    -- Goes up with every look of a relay, durably: one that finds it lower than it left it knows that history was lost.
    looks             bigint      not null default 0,
    looked_at         timestamptz,
    constraint system_pkey primary key (one),
    constraint system_has_one_row check (one),
    -- A number has 63 bits.
    constraint system_timeline_fits check (timeline between 0 and 32767)
) with (fillfactor = 50);

insert into dionysus.system default values;
