//! Every type with an SQL expression that gives a random value of it. The expressions use `i`,
//! the number of the row, and the functions of [`SETUP`].

/// How values of a type are given in the native style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Bool,
    Integer,
    Float,
    Json,
    Bytea,
    /// A domain over `int[]`.
    IntegerList,
    /// As PostgreSQL prints it.
    Printed,
}

use Class::{Bool, Bytea, Float, Integer, IntegerList, Json, Printed};

/// `(type, class, expression)`.
pub(crate) type Sample = (&'static str, Class, &'static str);

/// What the expressions need. To be run by a superuser.
pub(crate) const SETUP: &str = r#"
CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree;
CREATE TYPE mood AS ENUM ('sad', 'so so', 'happy, "very"', 'NULL', '');
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE DOMAIN evenint AS posint CHECK (VALUE % 2 = 0);
CREATE DOMAIN label AS text;
CREATE DOMAIN ints AS int[];
CREATE DOMAIN doc AS jsonb;
CREATE TYPE pair AS (a int, b text);
CREATE TYPE nested AS (p pair, list text[], at timestamptz);
CREATE TYPE textrange AS RANGE (subtype = text);
CREATE FUNCTION rint(lo int8, hi int8) RETURNS int8 LANGUAGE sql VOLATILE AS
 $$ SELECT least(hi, lo + floor(random() * (hi::numeric - lo + 1)::float8)::numeric)::int8 $$;
CREATE FUNCTION rfloat() RETURNS float8 LANGUAGE sql VOLATILE AS
 $$ SELECT (random() - 0.5) * 10 ^ rint(-20, 20) $$;
CREATE FUNCTION rtext() RETURNS text LANGUAGE sql VOLATILE AS
 $$ SELECT coalesce(string_agg((ARRAY['a', 'B', '7', ' ', '"', '\', '''', '{', '}', ',', ';', '(', ')',
  'NULL', 'é', '日', '😀', E'\n', E'\t', E'\x01', '<', '&', '/', '%', '$1', '=>', ':'])[rint(1, 27)], ''), '')
  FROM generate_series(1, rint(0, 9)) $$;
CREATE FUNCTION rtime() RETURNS timestamptz LANGUAGE sql VOLATILE AS
 $$ SELECT '2000-01-01Z'::timestamptz + random() * interval '9000 days' - random() * interval '900000 days' $$;
CREATE FUNCTION rpoint() RETURNS point LANGUAGE sql VOLATILE AS $$ SELECT point(rfloat(), rfloat()) $$;
CREATE FUNCTION rdoc() RETURNS text LANGUAGE sql VOLATILE AS
 $$ SELECT (ARRAY['{}', '[]', json_build_object(rtext(), rtext(), 'n', rint(-9e18::int8, 9e18::int8),
   'x', trim_scale(round(random()::numeric * 1000, 3)), 'b', random() < 0.5, 'nothing', null,
   'list', json_build_array(1, rtext(), json_build_array(), json_build_object('deep', json_build_array(2.5))))::text,
  json_build_array(rtext(), 0, -1.5, null, true)::text])[rint(1, 4)] $$;
"#;

pub(crate) const BUILTIN: &[Sample] = &[
    ("bool", Bool, "random() < 0.5"),
    ("int2", Integer, "(ARRAY[-32768, 0, 32767, rint(-999, 999)])[rint(1, 4)]"),
    ("int4", Integer, "(ARRAY[-2147483648, 0, 2147483647, rint(-99999, 99999)])[rint(1, 4)]"),
    (
        "int8",
        Integer,
        "(ARRAY[-9223372036854775808, 9223372036854775807, rint(-9e18::int8, 9e18::int8)])[rint(1, 3)]",
    ),
    ("oid", Integer, "rint(0, 4294967295)"),
    (
        "float4",
        Float,
        "CASE i % 9 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' WHEN 2 THEN '3.4028235e38' WHEN 3 THEN '0.1' WHEN 4 THEN '1e-45' ELSE rfloat()::float4::text END",
    ),
    (
        "float8",
        Float,
        "CASE i % 9 WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' WHEN 2 THEN '1.7976931348623157e308' WHEN 3 THEN '-0' WHEN 4 THEN '5e-324' WHEN 5 THEN '17' ELSE rfloat()::text END",
    ),
    (
        "numeric",
        Printed,
        "CASE i % 7 WHEN 0 THEN 'NaN' WHEN 1 THEN (10::numeric ^ rint(-90, 90))::text ELSE round(rfloat()::numeric * random()::numeric, rint(0, 40)::int)::text END",
    ),
    ("money", Printed, "round(random()::numeric * 1000000 - 500000, 2)"),
    ("text", Printed, "rtext()"),
    ("varchar(9)", Printed, "rtext()"),
    ("bpchar", Printed, "rtext()"),
    ("char(9)", Printed, "left(rtext(), 9)"),
    ("name", Printed, "rtext()"),
    ("\"char\"", Printed, "chr(rint(32, 126)::int)"),
    ("bytea", Bytea, "decode(left(md5(random()::text), rint(0, 16)::int * 2), 'hex')"),
    ("json", Json, "rdoc()"),
    ("jsonb", Json, "rdoc()"),
    ("jsonpath", Printed, "format('$.%I[*] ? (@ > %s)', 'k' || i, rint(0, 99))"),
    ("xml", Printed, "xmlelement(name a, xmlattributes(i AS b), translate(rtext(), E'\\x01', ''))"),
    ("uuid", Printed, "gen_random_uuid()"),
    (
        "date",
        Printed,
        "CASE i % 8 WHEN 0 THEN 'infinity' WHEN 1 THEN '0044-03-15 BC' ELSE rtime()::date::text END",
    ),
    ("time", Printed, "rtime()::time"),
    ("timetz", Printed, "rtime()::timetz"),
    ("timestamp", Printed, "CASE i % 8 WHEN 0 THEN '-infinity' ELSE rtime()::timestamp::text END"),
    ("timestamptz", Printed, "CASE i % 8 WHEN 0 THEN 'infinity' ELSE rtime()::text END"),
    ("interval", Printed, "random() * interval '3 years 7 days 04:05:06.789' * (1 - 2 * (i % 2))"),
    (
        "inet",
        Printed,
        "format('%s.%s.0.%s/%s', rint(0, 255), rint(0, 255), rint(0, 255), rint(0, 32))",
    ),
    ("cidr", Printed, "(ARRAY['10.0.0.0/8', '2001:db8::/32', '192.168.7.0/24'])[rint(1, 3)]"),
    ("macaddr", Printed, "left(md5(random()::text), 12)"),
    ("macaddr8", Printed, "left(md5(random()::text), 16)"),
    ("bit(5)", Printed, "rint(0, 31)::int::bit(5)"),
    ("varbit", Printed, "left(rint(0, 1000)::int::bit(32)::text, rint(0, 32)::int)"),
    ("point", Printed, "rpoint()"),
    ("line", Printed, "format('{%s,%s,1}', rint(1, 9), rfloat())"),
    ("lseg", Printed, "lseg(rpoint(), rpoint())"),
    ("box", Printed, "box(rpoint(), rpoint())"),
    ("path", Printed, "format('[%s,%s]', rpoint(), rpoint())"),
    ("polygon", Printed, "format('(%s,%s,%s)', rpoint(), rpoint(), rpoint())"),
    ("circle", Printed, "circle(rpoint(), random())"),
    (
        "int4range",
        Printed,
        "int4range(rint(-99, 0)::int, rint(0, 99)::int, (ARRAY['[]', '()', '[)'])[rint(1, 3)])",
    ),
    ("int8range", Printed, "int8range(rint(-99, 0), NULL)"),
    ("numrange", Printed, "numrange(-random()::numeric, random()::numeric, '(]')"),
    ("daterange", Printed, "daterange(rtime()::date, NULL)"),
    ("tsrange", Printed, "tsrange(NULL, rtime()::timestamp)"),
    ("tstzrange", Printed, "tstzrange(NULL, rtime(), '[]')"),
    ("int4multirange", Printed, "int4multirange(int4range(1, 5), int4range(7 + i, 100))"),
    ("int8multirange", Printed, "int8multirange(int8range(1, 5), int8range(7 + i, 100))"),
    ("nummultirange", Printed, "nummultirange(numrange(-random()::numeric, random()::numeric))"),
    ("datemultirange", Printed, "datemultirange(daterange(rtime()::date, NULL))"),
    ("tsmultirange", Printed, "tsmultirange(tsrange(NULL, rtime()::timestamp))"),
    ("tstzmultirange", Printed, "tstzmultirange(tstzrange(NULL, rtime()))"),
    ("tsvector", Printed, "to_tsvector('simple', rtext() || ' the quick ''fox''')"),
    ("tsquery", Printed, "format('a%s & (b | !''c d'':*A)', i)"),
    ("int2vector", Printed, "format('%s %s', rint(-9, 9), rint(0, 9))"),
    ("oidvector", Printed, "format('%s %s %s', rint(0, 9), rint(0, 4294967295), i)"),
    ("tid", Printed, "format('(%s,%s)', rint(0, 99999), rint(1, 99))"),
    ("xid", Printed, "rint(0, 4294967295)::text"),
    ("xid8", Printed, "rint(0, 9e18::int8)::text"),
    ("cid", Printed, "rint(0, 4294967295)::text"),
    ("pg_lsn", Printed, "format('%s/%s', to_hex(rint(0, 999)), to_hex(rint(0, 99999999)))"),
    ("pg_snapshot", Printed, "pg_current_snapshot()"),
    ("txid_snapshot", Printed, "txid_current_snapshot()"),
    ("refcursor", Printed, "rtext()"),
    (
        "aclitem",
        Printed,
        "format('%s=r*w/%s', quote_ident(current_user), quote_ident(current_user))",
    ),
    (
        "regclass",
        Printed,
        "(ARRAY['pg_class', 'information_schema.tables', 'pg_type'])[rint(1, 3)]",
    ),
    ("regcollation", Printed, "'\"C\"'"),
    ("regconfig", Printed, "'simple'"),
    ("regdictionary", Printed, "'simple'"),
    ("regnamespace", Printed, "(ARRAY['pg_catalog', 'public', '1'])[rint(1, 3)]"),
    ("regoper", Printed, "rint(1, 9)::text"),
    ("regoperator", Printed, "(ARRAY['+(integer,integer)', '=(text,text)'])[rint(1, 2)]"),
    ("regproc", Printed, "(ARRAY['now', 'rtext', '3'])[rint(1, 3)]"),
    ("regprocedure", Printed, "(ARRAY['abs(integer)', 'rtext()', '3'])[rint(1, 3)]"),
    ("regrole", Printed, "quote_ident(current_user)"),
    ("regtype", Printed, "(ARRAY['int', 'mood', 'text[]', '3'])[rint(1, 4)]"),
];

/// Base types of pg_catalog that no SQL value can be made of.
pub(crate) const WITHOUT_INPUT: &[&str] = &[
    "gtsvector",
    "pg_brin_bloom_summary",
    "pg_brin_minmax_multi_summary",
    "pg_dependencies",
    "pg_mcv_list",
    "pg_ndistinct",
    "pg_node_tree",
];

pub(crate) const CUSTOM: &[Sample] = &[
    ("mood", Printed, "(enum_range(NULL::mood))[rint(1, 5)]"),
    ("posint", Integer, "rint(1, 999)"),
    ("evenint", Integer, "2 * rint(1, 999)"),
    ("label", Printed, "rtext()"),
    ("ints", IntegerList, "ARRAY[rint(-9, 9), i, rint(-9, 9)]"),
    ("doc", Json, "rdoc()"),
    ("pair", Printed, "ROW(rint(-9, 9), rtext())"),
    ("nested", Printed, "ROW(ROW(i, rtext()), ARRAY[rtext(), NULL], rtime())"),
    ("textrange", Printed, "textrange('a', 'b' || rtext())"),
    ("textmultirange", Printed, "textmultirange(textrange('a', 'b' || rtext()))"),
    ("hstore", Printed, "hstore(ARRAY['k', rtext(), rtext(), NULL])"),
    ("citext", Printed, "rtext()"),
    ("ltree", Printed, "text2ltree('top.a' || rint(0, 99))"),
    ("lquery", Printed, "'top.*{1,' || rint(1, 9) || '}.a|b@'"),
];
