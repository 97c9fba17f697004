insert into people values (2, E'a\'; b');
