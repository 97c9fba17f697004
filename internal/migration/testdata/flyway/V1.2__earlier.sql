insert into people values (1, $q$;$q$);
