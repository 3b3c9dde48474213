CREATE TABLE users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, email text UNIQUE NOT NULL, joined date NOT NULL, profile jsonb NOT NULL DEFAULT '{}')
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id int NOT NULL REFERENCES users, total numeric(10,2) NOT NULL CHECK (total >= 0), items text[] NOT NULL, placed timestamptz NOT NULL)
CREATE INDEX ON orders (user_id)
INSERT INTO users (name, email, joined, profile) SELECT 'User ' || n, 'user' || n || '@example.org', date '2024-01-01' + n, jsonb_build_object('newsletter', n % 2 = 0, 'visits', n * 3) FROM generate_series(1, 100) n
INSERT INTO orders (user_id, total, items, placed) SELECT 1 + n % 100, (n * 7919 % 10000) / 100.0, ARRAY['item ' || n % 17, 'item ' || n % 5], timestamptz '2025-01-01 00:00:00+00' + n * interval '1 hour' FROM generate_series(1, 1000) n
