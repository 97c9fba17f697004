-- tartan:plan orders
-- tartan:step add a column
alter table shop.orders add column token uuid default gen_random_uuid();

-- tartan:step take another away [drop]
alter table shop.orders drop column paid;
