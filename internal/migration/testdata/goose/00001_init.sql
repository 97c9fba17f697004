-- +goose Up
CREATE TABLE post (
    id int NOT NULL, -- a comment; with a semicolon
    title text,
    PRIMARY KEY(id)
);

-- +goose StatementBegin
CREATE FUNCTION touch() RETURNS trigger AS $$
BEGIN
  NEW.title := NEW.title || ';';
  RETURN NEW;
END;
$$ LANGUAGE plpgsql;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION touch();
DROP TABLE post;
