alter table "public"."todos" add column "done" boolean not null default false;
set check_function_bodies = off;
CREATE OR REPLACE FUNCTION public.done_count() RETURNS bigint LANGUAGE sql
BEGIN ATOMIC
  SELECT count(*) FROM public.todos WHERE CASE WHEN done THEN true ELSE false END;
END;
