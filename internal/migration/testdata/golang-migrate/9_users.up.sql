BEGIN;
CREATE TABLE users (id bigint PRIMARY KEY, email varchar(300) NOT NULL);
CREATE INDEX users_email ON users (email);
COMMIT;
