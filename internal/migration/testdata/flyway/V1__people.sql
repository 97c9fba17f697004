/* a comment; /* nested; */ */
create table people (id int primary key, name text default 'it''s; fine');
