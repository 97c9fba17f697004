create table if not exists public.todos (
  id bigint generated always as identity primary key,
  owner uuid not null default auth.uid(),
  task text check (char_length(task) > 3)
);
alter table public.todos enable row level security;
create policy "Individuals can view their own todos." on public.todos for select using ((select auth.uid()) = owner);
