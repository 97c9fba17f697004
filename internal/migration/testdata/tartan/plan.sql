-- tartan:plan orders-status
-- tartan:set lock_timeout = 1s
-- tartan:set approval = yes
-- tartan:set soak = 2d
-- tartan:set max_slowdown = 1.3

-- tartan:check no orphans
select not exists (select from shop.lines l where not exists (select from shop.orders o where o.id = l.order_id));

-- tartan:query open orders
select count(*) from shop.orders where status = 'open';

-- tartan:step add status
alter table shop.orders add column status text;
comment on column shop.orders.status is 'open; paid';
-- tartan:down
alter table shop.orders drop column status;

-- tartan:step fill status [backfill rows=5000 pause=50ms per_sec=20000]
update shop.orders o set status = case when paid then 'paid' else 'open' end where status is null and :batch;
-- tartan:verify
select count(*) = 0 from shop.orders where status is null;

-- tartan:step index by status [index]
create index concurrently orders_status on shop.orders (status);

-- tartan:step status is not null
alter table shop.orders add constraint orders_status_set check (status is not null) not valid;

-- tartan:step validate [validate]
alter table shop.orders validate constraint orders_status_set;

-- tartan:step keep alike [dual-write]
create function shop.orders_sync() returns trigger language plpgsql as $body$
begin
  -- tartan:allow drop-outside-contract in a string this is no mark
  new.paid := new.status = 'paid';
  return new;
end;
$body$;
create trigger orders_sync before insert or update on shop.orders for each row execute function shop.orders_sync();

-- tartan:step bring in customers [copy from=target:old source="crm.customers" table=shop.customers key=id map="email=mail, name=full_name" rows=2000]

-- tartan:step prices [copy from=prices.csv table=shop.prices delimiter=";" header=yes]

-- tartan:step take paid away [drop]
alter table shop.orders drop column paid
