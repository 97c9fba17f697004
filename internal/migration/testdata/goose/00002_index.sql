-- +goose NO TRANSACTION
-- +goose ENVSUB OFF
-- +goose Up
CREATE INDEX CONCURRENTLY post_title ON post (title);
-- +goose Down
DROP INDEX CONCURRENTLY post_title;
