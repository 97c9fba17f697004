CREATE TYPE mood AS ENUM ('happy', 'sad; or not');
ALTER TABLE users ADD COLUMN mood mood;
