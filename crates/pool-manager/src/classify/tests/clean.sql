-- SELECT read
select * from "users" where "users"."id" = $1 limit 1;

-- SELECT read
select "id", "name" from "users" where "email" = $1 and "deleted_at" is null order by "created_at" desc limit 15 offset 30;

-- SELECT read
select count(*) as aggregate from "users" where "active" = $1;

-- SELECT read
select exists(select * from "users" where "email" = $1) as "exists";

-- INSERT write
insert into "users" ("name", "email", "updated_at", "created_at") values ($1, $2, $3, $4) returning "id";

-- INSERT write
insert into "users"("name","email")values($1,$2),($3,$4);

-- INSERT write
insert into "jobs" ("queue", "attempts", "reserved_at", "available_at", "created_at", "payload") values ($1, $2, $3, $4, $5, $6) returning "id";

-- SELECT write
select * from "jobs" where "queue" = $1 and (("reserved_at" is null and "available_at" <= $2) or ("reserved_at" <= $3)) order by "id" asc limit 1 FOR UPDATE SKIP LOCKED;

-- UPDATE write
update "users" set "name" = $1, "updated_at" = $2 where "id" = $3;

-- UPDATE write
update "users" set "visits" = "visits" + 1, "options" = jsonb_set("options"::jsonb, '{"a"}', $1) where "id" in ($2, $3, $4);

-- DELETE write
delete from "sessions" where "last_activity" <= $1;

-- DELETE write
delete from "posts" where "ctid" in (select "posts"."ctid" from "posts" where "draft" = true limit 10);

-- INSERT write
insert into "users" ("email", "name") values ($1, $2) on conflict ("email") do update set "name" = "excluded"."name", "updated_at" = now();

-- INSERT write
insert into "tags" ("name") values ($1) on conflict do nothing;

-- INSERT write
insert into "tags" ("name") values ($1) on conflict on constraint "tags_name_unique" do nothing returning *;

-- INSERT write
insert into "tags" ("name") values ($1) on conflict (lower("name")) where "deleted" is false do update set ("name", "hits") = (excluded."name", "tags"."hits" + 1);

-- SELECT read
select "posts".*, (select count(*) from "comments" where "posts"."id" = "comments"."post_id") as "comments_count" from "posts";

-- SELECT read
select * from "orders" where "meta"->>'status' = $1 and "meta"->'a'->0 is not null and "meta" @> $2 and "tags" ?| array[$3, $4] and ("meta")::jsonb ? 'key';

-- SELECT read
select * from "orders" where "meta" #>> '{a,b}' = $1 and "tags" && $2::text[] and "meta" <@ '{"a": 1}'::jsonb and "created_at"::date = $3 and jsonb_array_length(("meta"->'items')::jsonb) > 2;

-- SELECT read
select * from "users" inner join "posts" on "users"."id" = "posts"."user_id" left join (select "user_id", max("created_at") as "last" from "logins" group by "user_id") as "l" on "l"."user_id" = "users"."id";

-- SELECT read
select * from "users" left join lateral (select * from "posts" where "posts"."user_id" = "users"."id" order by "id" desc limit 3) as "p" on true;

-- SELECT read
select extract(year from "created_at") as y, date_trunc('month', "created_at") as m, sum("total") from "orders" group by 1, 2 having sum("total") > $1 order by y, m;

-- SELECT read
(select "id" from "a" where "x" = $1) union all (select "id" from "b" where "x" = $2) order by "id" limit 5;

-- SELECT read
((select 1) union (select 2)) except select 3;

-- SELECT read
select * from "users" where ("last_name", "first_name") > ($1, $2) order by "last_name", "first_name";

-- SELECT read
select t.relname from pg_class t, pg_namespace n where n.oid = t.relnamespace and pg_table_is_visible(t.oid) and t.relkind in ('r', 'p');

-- SELECT read
select c.relname as name, n.nspname as schema, pg_total_relation_size(c.oid) as size, obj_description(c.oid, 'pg_class') as comment from pg_class c, pg_namespace n where c.relkind in ('r', 'p') and n.oid = c.relnamespace and n.nspname not in ('pg_catalog', 'information_schema') order by c.relname;

-- SELECT read
select a.attname as name, t.typname as type_name, format_type(a.atttypid, a.atttypmod) as type, (select tc.collcollate from pg_catalog.pg_collation tc where tc.oid = a.attcollation) as collation, not a.attnotnull as nullable, (select pg_get_expr(adbin, adrelid) from pg_attrdef where c.oid = pg_attrdef.adrelid and pg_attrdef.adnum = a.attnum) as default, col_description(c.oid, a.attnum) as comment from pg_attribute a, pg_class c, pg_type t, pg_namespace n where c.relname = $1 and a.attnum > 0 and a.attrelid = c.oid and a.atttypid = t.oid;

-- SELECT read
select ic.relname as name, string_agg(a.attname, ',' order by indseq.ord) as columns, am.amname as "type", i.indisunique as "unique" from pg_index i join pg_class tc on tc.oid = i.indrelid join pg_class ic on ic.oid = i.indexrelid join pg_am am on am.oid = ic.relam join lateral unnest(i.indkey) with ordinality as indseq(num, ord) on true left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = indseq.num group by ic.relname, am.amname, i.indisunique;

-- SELECT read
SELECT t0.id AS id_1, t0.name AS name_2, t0.created_at AS created_at_3 FROM users t0 WHERE t0.id = $1 LIMIT 1;

-- SELECT read
SELECT u0_.id AS id_0, u0_.username AS username_1, COUNT(p1_.id) AS sclr_2 FROM users u0_ LEFT JOIN posts p1_ ON u0_.id = p1_.user_id WHERE LOWER(u0_.username) LIKE $1 GROUP BY u0_.id HAVING COUNT(p1_.id) > 1 ORDER BY sclr_2 DESC;

-- SELECT read
SELECT DISTINCT id_0 FROM (SELECT DISTINCT id_0, created_at_1 FROM (SELECT u0_.id AS id_0, u0_.created_at AS created_at_1 FROM users u0_) dctrn_result_inner ORDER BY created_at_1 DESC) dctrn_result LIMIT 10;

-- SELECT read
SELECT COUNT(*) AS dctrn_count FROM (SELECT DISTINCT id_0 FROM (SELECT u0_.id AS id_0 FROM users u0_ WHERE u0_.active = true) dctrn_result) dctrn_table;

-- INSERT write
INSERT INTO users (id, username, roles, created_at) VALUES ($1, $2, $3, $4);

-- INSERT write
INSERT INTO "public"."users" ("id", "data") VALUES (DEFAULT, $1::jsonb) RETURNING "id", "created_at";

-- INSERT write
INSERT INTO messenger_messages (body, headers, queue_name, created_at, available_at) VALUES($1, $2, $3, $4, $5);

-- SELECT write
SELECT m.* FROM messenger_messages m WHERE (m.queue_name = $1) AND (m.delivered_at is null OR m.delivered_at < $2) AND (m.available_at <= $3) ORDER BY available_at ASC LIMIT 1 FOR UPDATE SKIP LOCKED;

-- UPDATE write
UPDATE users SET name = $1, version = version + 1 WHERE id = $2 AND version = $3;

-- SELECT read
SELECT "user"."id" AS "c0", "user"."email" AS "c1" FROM "users" AS "user" LEFT JOIN "profiles" AS "l_user_profile" ON "l_user_profile"."user_id" = "user"."id" WHERE "user"."email" = $1 LIMIT 1;

-- INSERT write
INSERT INTO "posts" ("title", "content") VALUES ($1, $2) RETURNING "id";

-- SELECT read
WITH active AS (SELECT id FROM users WHERE active) SELECT count(*) FROM active;

-- SELECT read
WITH RECURSIVE tree(id, parent_id, depth) AS (SELECT id, parent_id, 1 FROM categories WHERE id = $1 UNION ALL SELECT c.id, c.parent_id, t.depth + 1 FROM categories c JOIN tree t ON t.id = c.parent_id) SELECT * FROM tree ORDER BY depth;

-- SELECT read
WITH a AS MATERIALIZED (SELECT 1 AS x), b(y) AS NOT MATERIALIZED (SELECT 2), "c" ("z") AS (VALUES (3), (4)) SELECT * FROM a, b, "c";

-- SELECT read
with recursive "tree" as (select * from "nodes" where "id" = $1 union all select "nodes".* from "nodes" inner join "tree" on "nodes"."parent_id" = "tree"."id") select * from "tree";

-- SELECT read
WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 100) SEARCH DEPTH FIRST BY n SET ordercol CYCLE n SET is_cycle USING path SELECT sum(n) FROM t;

-- SELECT write
WITH moved AS (DELETE FROM queue WHERE id IN (SELECT id FROM queue ORDER BY id LIMIT 10 FOR UPDATE SKIP LOCKED) RETURNING *) SELECT * FROM moved;

-- SELECT write
WITH ins (id) AS (INSERT INTO users (email) VALUES ($1) ON CONFLICT (email) DO NOTHING RETURNING id) SELECT id FROM ins UNION ALL SELECT id FROM users WHERE email = $1;

-- INSERT write
WITH moved AS (DELETE FROM a RETURNING id, v) INSERT INTO b (id, v) SELECT id, v FROM moved;

-- UPDATE write
WITH picked AS (SELECT id FROM jobs LIMIT 1 FOR UPDATE) UPDATE jobs SET state = 'run' FROM picked WHERE jobs.id = picked.id RETURNING jobs.*;

-- DELETE write
WITH old AS (SELECT id FROM logs WHERE at < now() - interval '30 days') DELETE FROM logs USING old WHERE logs.id = old.id;

-- INSERT write
INSERT INTO totals (day, n) WITH x AS (SELECT date(at) AS day FROM logs) SELECT day, count(*) FROM x GROUP BY day;

-- SELECT read
WITH a AS (SELECT 1) (SELECT * FROM a) ORDER BY abs(1), lower('x');

-- SELECT read
(WITH a AS (SELECT 1 AS n) SELECT n FROM a);

-- SELECT read
SELECT row_number() OVER (PARTITION BY dept ORDER BY salary DESC), rank() OVER w, lag(salary, 1, 0) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), sum(salary) OVER (w RANGE UNBOUNDED PRECEDING) FROM emp WINDOW w AS (PARTITION BY dept ORDER BY salary);

-- SELECT read
SELECT count(*) FILTER (WHERE status = 'paid') AS paid, array_agg(DISTINCT id ORDER BY id DESC) FILTER (WHERE id > $1), percentile_cont(0.5) WITHIN GROUP (ORDER BY total), mode() WITHIN GROUP (ORDER BY kind) FROM orders;

-- SELECT read
SELECT brand, size, sum(sales), grouping(brand) FROM items GROUP BY GROUPING SETS ((brand), (size), ()), ROLLUP (a, (b, c)), CUBE (d, e);

-- SELECT read
SELECT a, b FROM t GROUP BY GROUPING SETS (ROLLUP (a), CUBE (b, (c)));

-- SELECT read
SELECT a FROM t GROUP BY DISTINCT ROLLUP (a, b), (c) ORDER BY (a), (b);

-- SELECT read
SELECT DISTINCT ON (user_id) user_id, created_at FROM logins ORDER BY user_id, created_at DESC;

-- SELECT read
SELECT DISTINCT ON ("user_id", lower("kind")) lower("kind"), "user_id" FROM "logins";

-- SELECT read
SELECT * FROM unnest($1::int[], $2::text[]) AS u(id, name) JOIN items i USING (id);

-- SELECT read
SELECT * FROM unnest($1::int[], $2::text[]) u(id, name), (VALUES (1, 'a'), (2, 'b')) v(k, l), generate_series(1, 10) g(n);

-- UPDATE write
UPDATE items AS i SET price = v.price FROM (VALUES ($1::int, $2::numeric(10,2)), ($3, $4)) AS v(id, price) WHERE i.id = v.id;

-- UPDATE write
UPDATE accounts SET (balance, updated_at) = (SELECT sum(amount), now() FROM entries WHERE entries.account_id = accounts.id);

-- UPDATE write
UPDATE "accounts" SET ("a", "b") = ROW ($1, $2), c[1] = 3, d.e = 'x' WHERE CURRENT_DATE > "from";

-- SELECT read
SELECT CAST($1 AS varchar(10)), CAST(x AS numeric(10, 2)), $2::character varying(255), y::double precision, z::timestamp(3) without time zone, '1 day'::interval(0), CAST(v AS character varying (20)), w::bit varying(8), d::char(3)[] FROM t;

-- SELECT read
SELECT embedding::vector(3) <-> $1::vector(3) AS distance, CAST(geom AS geometry(Point, 4326)), x::public.thing(7) FROM places ORDER BY 1 LIMIT 5;

-- SELECT read
SELECT COALESCE(a, b, 0), NULLIF(a, ''), GREATEST(a, b), LEAST(a, b), CASE WHEN a IS NULL THEN upper(b) ELSE lower(c) END, ROW(a, b), ARRAY(SELECT id FROM t), ARRAY[a, (b)] FROM t;

-- SELECT read
SELECT TRIM(BOTH ' ' FROM name), SUBSTRING(name FROM 1 FOR 3), POSITION('a' IN name), OVERLAY(name PLACING 'x' FROM 2), left(name, 2), right(name, 2), replace(name, 'a', 'b'), NORMALIZE(name, NFC) FROM t;

-- SELECT read
SELECT now() AT TIME ZONE 'UTC', created_at AT TIME ZONE ('Europe/' || city), CURRENT_TIMESTAMP(3), LOCALTIME (0), clock_timestamp(), age(a, b), to_char(a, 'YYYY-MM'), make_interval(days => 3), timestamptz '2024-01-01 00:00+00', date '2024-01-01' FROM t;

-- SELECT read
SELECT * FROM t WHERE (a, b) OVERLAPS (c, d) AND name LIKE ('%' || $1) ESCAPE ('!') AND name NOT LIKE ($2) AND name ILIKE ($3) AND name NOT ILIKE ($4) AND name SIMILAR TO ($5) AND x BETWEEN (1) AND (2) AND x BETWEEN SYMMETRIC (1) AND (2) AND y IS DISTINCT FROM (z);

-- SELECT read
SELECT * FROM t WHERE id = ANY ($1) AND id <> ALL ($2::int[]) AND x = SOME (SELECT y FROM u) AND NOT (a OR (b AND NOT (c))) AND id NOT IN (SELECT id FROM v WHERE EXISTS (SELECT 1 FROM w));

-- SELECT read
SELECT * FROM json_to_recordset($1) AS x(a int, b text, c numeric(10, 2), d vector(3)), jsonb_to_record($2) AS (e varchar(10), f timestamp(3));

-- SELECT read
SELECT * FROM ROWS FROM (generate_series(1, 3), unnest($1::int[])) WITH ORDINALITY AS t(a, b, n);

-- SELECT read
SELECT * FROM unnest($1::text[]) WITH ORDINALITY t(a, n) WHERE a ~* $2 AND a !~~ $3 AND a ^@ 'x';

-- SELECT read
SELECT xmltable.* FROM docs, XMLTABLE('/rows/row' PASSING (data) COLUMNS id int PATH '@id', name varchar(20) PATH 'name' DEFAULT lower('X'), ord FOR ORDINALITY);

-- SELECT read
SELECT XMLELEMENT(NAME foo, XMLATTRIBUTES(a AS b, c), XMLFOREST(d, e)), XMLSERIALIZE(CONTENT x AS varchar(10)), xmlagg(x ORDER BY y), XMLCONCAT(a, b) FROM t;

-- SELECT read
SELECT * FROM a NATURAL JOIN (b CROSS JOIN c) LEFT OUTER JOIN (d JOIN e USING (id)) ON (a.id = d.id) FULL JOIN (SELECT 1 AS one) AS f ON true;

-- SELECT read
SELECT * FROM "a" JOIN ("b" CROSS JOIN c) ON true JOIN "c2" t (x, y) ON (true);

-- SELECT read
SELECT * FROM ONLY (users) TABLESAMPLE BERNOULLI (10) REPEATABLE (42) WHERE random() < 0.5;

-- SELECT read
SELECT * FROM users AS u TABLESAMPLE system (1.5) ORDER BY id FETCH FIRST (5) ROWS WITH TIES;

-- SELECT read
SELECT * FROM users ORDER BY name COLLATE "C" NULLS LAST, id USING > OFFSET (10) ROWS FETCH NEXT 5 ROWS ONLY;

-- SELECT read
SELECT * FROM users LIMIT ($1) OFFSET ($2 * 10);

-- SELECT write
SELECT * FROM users FOR NO KEY UPDATE OF users NOWAIT;

-- SELECT write
SELECT * FROM users WHERE id = $1 FOR SHARE;

-- SELECT write
SELECT * FROM users WHERE id = $1 FOR KEY SHARE;

-- MERGE write
MERGE INTO stock AS s USING (VALUES ($1::int, $2::int)) AS v(id, n) ON s.id = v.id WHEN MATCHED AND (s.n + v.n > 0) THEN UPDATE SET n = s.n + v.n WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, n) VALUES (v.id, v.n);

-- MERGE write
WITH src (id) AS (SELECT 1) MERGE INTO t USING src ON t.id = src.id WHEN NOT MATCHED THEN INSERT VALUES (src.id) WHEN MATCHED THEN DO NOTHING;

-- SELECT read
VALUES (1, 'a'), (2, upper($1));

-- SELECT read
TABLE users;

-- SELECT read
TABLE users ORDER BY id LIMIT 5;

-- SELECT read
SELECT E'it\'s', 'a''b', U&'d\0061t\+000061', B'101', X'1FF', N'x', $$dollar ' quote$$, $t$ nested $$ ; select evil() $t$, 'semi;colon', "odd;col""umn" FROM t;

-- SELECT read
SELECT /* evil() ; /* nested ( */ ' */ 1 -- set_config('a','b',false);
 + 2;

-- SELECT read
select 'it''s'
  ' going ('
  ' on', E'a\''
  '\');';

-- SELECT read
SELECT lower /* c */ (name), upper
(name), pg_catalog . lower ( name ), "lower"(name), "pg_catalog"."upper"(name) FROM t;

-- SELECT read
SELECT a OPERATOR(pg_catalog.+) b, a OPERATOR(pg_catalog.~) '^x', (c).d, (c).e[1], arr[1:2], arr[array_length(arr, 1)] FROM t;

-- SELECT read
SELECT current_user, session_user, current_database(), current_schema(), current_schemas(false), version(), current_setting('search_path'), pg_backend_pid(), inet_client_addr(), pg_is_in_recovery(), txid_current_if_assigned();

-- SELECT read
SELECT jsonb_build_object('a', 1, 'b', jsonb_agg(x)), json_agg(row_to_json(t)), jsonb_path_query_first(d, '$.a ? (@ > 1)'), to_jsonb(t), jsonb_object_agg(k, v), json_build_array(1, 2), to_json($1::text) FROM t;

-- SELECT read
SELECT ts_rank(tsv, q), ts_headline('english', body, q) FROM docs, plainto_tsquery('english', $1) q WHERE tsv @@ q OR to_tsvector('simple', body) @@ websearch_to_tsquery($2);

-- SELECT read
SELECT int4range(1, 5) * int4range(2, 8), daterange($1, $2, '[)') && period, range_agg(r), lower(r), upper_inf(r) FROM t;

-- SELECT read
SELECT gen_random_uuid(), md5($1), sha256($2), encode($3, 'base64'), decode($4, 'hex'), format('%I.%s', a, b), concat_ws(',', a, b), string_to_array(a, ','), regexp_replace(a, 'x', 'y', 'g'), width_bucket(1, 0, 10, 5) FROM t;

-- SELECT write
SELECT pg_notify('channel', $1);

-- SELECT write
SELECT pg_advisory_xact_lock(hashtext($1)), pg_try_advisory_xact_lock(1, 2);

-- SELECT read
SELECT pg_sleep(0.1);

-- SELECT read
SELECT table_name FROM information_schema.tables WHERE table_schema = ANY (current_schemas(false)) AND (information_schema._pg_expandarray(x)).n > 0;

-- SELECT read
SELECT 1 AS "select", 2 AS into, 3 AS update, t.for, t.into, t.set FROM t AS values_of (a, b);

-- SELECT read
SELECT "from"."select" FROM "table" AS "from" WHERE "set_config" = 'lastval()' AND "into" = $1;

-- SELECT read
SELECT имя, "имя", таблица.поле FROM таблица WHERE "größe" > $1 AND lower(имя) = $2;

-- SELECT read
SELECT * FROM t WHERE x=-1 AND y=+2 AND z<-3 AND a@>-$1 AND b<>-1.5e-10 AND c=.5 AND d IN(1,2)AND e=ANY(array[1,2]);

-- SELECT read
SELECT COLLATION FOR (name), TREAT(a AS text), GROUPING(b) FROM t GROUP BY b, (c);

-- EXPLAIN read
EXPLAIN SELECT * FROM users WHERE id = 1;

-- EXPLAIN read
EXPLAIN (ANALYZE, BUFFERS true, FORMAT json) SELECT * FROM users;

-- EXPLAIN read
EXPLAIN ANALYZE VERBOSE (SELECT 1);

-- EXPLAIN read
EXPLAIN (SELECT 1);

-- EXPLAIN write
EXPLAIN ANALYZE UPDATE users SET name = 'x';

-- SHOW read
SHOW search_path;

-- SHOW read
SHOW TRANSACTION ISOLATION LEVEL;

-- SHOW read
show all;
