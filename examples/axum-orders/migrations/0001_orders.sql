-- Customers, their orders, and the lines of these. Bad input meets a constraint, whose name the answer tells.
create table customers (
    id bigint generated always as identity primary key,
    name text not null constraint customers_name_is_given check (name <> ''),
    created_at timestamptz not null default now()
);

create table orders (
    id bigint generated always as identity primary key,
    customer_id bigint not null references customers,
    created_at timestamptz not null default now(),
    canceled_at timestamptz
);
-- A renamed customer's orders are looked up by it.
create index orders_customer_id on orders (customer_id);

create table order_lines (
    id bigint generated always as identity primary key,
    order_id bigint not null references orders,
    product text not null constraint order_lines_product_is_given check (product <> ''),
    quantity integer not null constraint order_lines_quantity_is_positive check (quantity > 0),
    unit_price numeric(12, 2) not null constraint order_lines_unit_price_is_not_negative check (unit_price >= 0)
);
-- The lines of an order are read by it.
create index order_lines_order_id on order_lines (order_id);

-- What is published of an order besides its lines.
create view order_snapshots as
select o.id, o.customer_id, c.name as customer_name, o.created_at, o.canceled_at,
    (select coalesce(sum(l.quantity * l.unit_price), 0) from order_lines l where l.order_id = o.id) as total
from orders o join customers c on c.id = o.customer_id;
