// postgres (Postgres.js) through the PostgreSQL door. It prepares statements under names of its own,
// and sends them ahead of the replies.
'use strict';

const fs = require('node:fs');
const { once } = require('node:events');
const { Readable } = require('node:stream');
const { pipeline: pipe } = require('node:stream/promises');
const postgres = require('postgres');
const {
  main, same, mode, connections, shared, clients, host, tlsCa, running, range, version,
} = require('./harness');
const { Common } = require('./common');

class PostgresJs extends Common {
  static driver = 'postgresjs';
  static title = `Postgres.js ${version('postgres')}`;

  static values = [
    ['int2', -32768],
    ['int4', 2147483647],
    ['int8', '-9223372036854775808'],
    ['float8', 1.5e-300],
    ['numeric', '-12345678901234567890.000123'],
    ['bool', true],
    ['bool', false],
    ['text', 'tea \u2615 \'and\' \\ "more"\n$1 %s ?'],
    ['bytea', Buffer.from(range(0, 255))],
    ['date', new Date('2024-02-29T00:00:00Z')],
    ['time', '23:59:59.999999'],
    ['timestamptz', new Date('2024-01-02T03:04:05.678Z')],
    ['uuid', '00000000-0000-4000-8000-00000000abcd'],
    ['jsonb', { a: [1, null, { b: '\u00e9' }] }],
    ['int4[]', [1, 2, 3]],
    ['text[]', ['a,b', 'c"d', '']],
  ];

  // One client of the door: a pool of one connection.
  async open(options) {
    const sql = postgres({ max: 1, onnotice: () => {}, ...options });
    sql.rows = (text, args = []) => sql.unsafe(text, args, { prepare: args.length > 0 });
    sql.close = () => sql.end({ timeout: 5 });
    // It hides its socket; told to use TLS, it does nothing else.
    sql.encrypted = () => true;
    // It connects with the first statement.
    await sql`SELECT 1`.catch(async (error) => {
      await sql.close();
      throw error;
    });
    return sql;
  }

  tlsOptions() {
    return { host, ssl: { ca: fs.readFileSync(tlsCa), rejectUnauthorized: true } };
  }

  settingsOptions(settings) {
    return { connection: settings };
  }

  async unnamed_parameters() {
    const sql = await this.connect({ prepare: false });
    for (let n = 0; n < 20; n++) {
      same([...await sql`SELECT ${n}::int + 1 AS n, 'tea ' || ${String(n)} AS t`], [{ n: n + 1, t: `tea ${n}` }]);
      same([...await sql`SELECT ${n % 2 === 0}::bool AS b`], [{ b: n % 2 === 0 }]);
    }
  }

  async prepared_named() {
    const sql = await this.connect();
    for (let turn = 0; turn < 10; turn++) {
      same([...await sql`SELECT ${turn}::int + 1 AS n`], [{ n: turn + 1 }]);
      same([...await sql`SELECT ${String(turn)}::text AS t`], [{ t: String(turn) }]);
    }
    const described = await sql`SELECT ${1}::int AS n, 'x' AS t`.describe();
    same([described.types, described.columns.map((column) => column.name)], [[23], ['n', 't']]);
  }

  async prepared_reused_across_transactions() {
    const sql = await this.connect();
    const once = async () => {
      const [row] = await sql.begin((tx) => tx`SELECT pg_backend_pid() AS pid, ${41}::int + 1 AS n`);
      same(row.n, 42);
      return row.pid;
    };
    await once();
    same(new Set(await this.walk(once)).size, shared ? connections : 1);
  }

  async pipeline() {
    const sql = await this.connect();
    const table = sql(await this.table(sql, 'pipeline', 'n int PRIMARY KEY'));
    const insert = (tx, n) => tx`INSERT INTO ${table} ${tx([{ n }])}`;
    await Promise.all(range(0, 99).map((n) => insert(sql, n)));
    await sql`INSERT INTO ${table} ${sql(range(100, 199).map((n) => ({ n })))}`;
    const numbers = async () => (await sql`SELECT n FROM ${table} ORDER BY n`).map((row) => row.n);
    same(await numbers(), range(0, 199));
    // A list of statements of a transaction is sent in one piece.
    const both = await sql.begin((tx) => [insert(tx, 200), tx`SELECT count(*)::int AS n FROM ${table}`]);
    same(both[1][0].n, 201);
    await this.fails('23505', sql.begin((tx) => [insert(tx, 201), insert(tx, 7), insert(tx, 202)]));
    same(await numbers(), range(0, 200));
  }

  async copy_in() {
    const sql = await this.connect();
    const table = await this.table(sql, 'copy_in', 'n int, t text');
    const lines = range(0, 4999).map((n) => `${n}\t${n % 7 ? `row ${n}` : '\\N'}\n`);
    await pipe(Readable.from(lines), await sql`COPY ${sql(table)} FROM STDIN`.writable());
    const found = await sql`SELECT n, t FROM ${sql(table)} ORDER BY n`;
    same([...found], range(0, 4999).map((n) => ({ n, t: n % 7 ? `row ${n}` : null })));
    const wrong = await sql`COPY ${sql(table)} FROM STDIN`.writable();
    // The stream hears of errors only as long as it has not ended.
    const failed = once(wrong, 'finish', { signal: AbortSignal.timeout(20000) });
    wrong.write('1\tone\nx\ttwo\n');
    await this.fails('22P02', failed);
    same(await this.value(sql, `SELECT count(*)::int FROM ${table}`), 5000);
  }

  async copy_out() {
    const sql = await this.connect();
    let found = '';
    // Not more than its stream holds: one that ends while it is full stops the socket for ever, with
    // PostgreSQL itself, too.
    const stream = await sql`COPY (SELECT generate_series(1, 3000)) TO STDOUT`.readable();
    for await (const chunk of stream) found += chunk;
    same(found, range(1, 3000).map((n) => `${n}\n`).join(''));
    same(await this.value(sql, 'SELECT 1'), 1);
  }

  async cursor() {
    const sql = await this.connect();
    const read = async (tx) => {
      const found = [];
      for await (const rows of tx`SELECT generate_series(1, ${1000}::int) AS n`.cursor(70)) {
        found.push(...rows.map((row) => row.n));
      }
      same(found, range(1, 1000));
      const half = [];
      await tx`SELECT generate_series(1, ${1000}::int) AS n`.cursor(3, (rows) => {
        half.push(...rows.map((row) => row.n));
        return sql.CLOSE;
      });
      same(half, [1, 2, 3]);
      same((await tx`SELECT ${1}::int AS n`)[0].n, 1);
    };
    await sql.begin(read);
    await read(sql);
  }

  async cancel() {
    const sql = await this.connect();
    const other = await this.connect();
    const marker = this.name('cancel');
    const query = sql.unsafe(`SELECT pg_sleep(30) /* ${marker} */`);
    const ended = this.fails('57014', query);
    while ((await this.value(other, running, [marker])) !== 1);
    query.cancel();
    await ended;
    same(await this.value(sql, 'SELECT 1'), 1);
    same(await this.value(other, running, [marker]), 0);
  }

  async notice() {
    const found = [];
    const sql = await this.connect({ onnotice: (notice) => found.push(notice.message) });
    await sql.unsafe("DO $$ BEGIN RAISE NOTICE 'tea is ready'; END $$");
    same(found, ['tea is ready']);
  }

  async transaction_commit() {
    const sql = await this.connect();
    const other = await this.connect();
    const table = await this.table(sql, 'commit', 'n int');
    await sql.begin(async (tx) => {
      await tx`INSERT INTO ${tx(table)} VALUES (${1})`;
      await tx`INSERT INTO ${tx(table)} VALUES (${2})`;
      same(await this.numbers(other, table), []);
    });
    same(await this.numbers(other, table), [1, 2]);
  }

  async transaction_rollback() {
    const sql = await this.connect();
    const table = await this.table(sql, 'rollback', 'n int');
    const ended = sql.begin('isolation level serializable', async (tx) => {
      same((await tx`SHOW transaction_isolation`)[0].transaction_isolation, 'serializable');
      await tx`INSERT INTO ${tx(table)} VALUES (${1})`;
      throw Object.assign(new Error('enough'), { code: 'enough' });
    });
    await this.fails('enough', ended);
    same(await this.numbers(sql, table), []);
  }

  async savepoint() {
    const sql = await this.connect();
    const table = await this.table(sql, 'savepoint', 'n int');
    await sql.begin(async (tx) => {
      await tx`INSERT INTO ${tx(table)} VALUES (${1})`;
      await this.fails('22012', tx.savepoint(async (inner) => {
        await inner`INSERT INTO ${inner(table)} VALUES (${2})`;
        await inner`SELECT 1 / ${0}::int`;
      }));
      await tx`INSERT INTO ${tx(table)} VALUES (${3})`;
    });
    same(await this.numbers(sql, table), [1, 3]);
  }

  // Its own pool, in place of clients one by one.
  async many_clients() {
    await super.many_clients();
    const pool = await this.connect({ max: shared ? clients : connections / 2 });
    const found = await Promise.all(range(1, 200).map((n) => pool.begin((tx) => tx`SELECT ${n}::int AS n`)));
    same(found.map((rows) => rows[0].n), range(1, 200));
  }

  async listen_notify() {
    const sql = await this.connect();
    const channel = this.name('channel');
    if (mode === 'transaction') {
      await this.fails('0A000', sql.listen(channel, () => {}));
      same(await this.value(sql, 'SELECT 1'), 1);
      return;
    }
    const arrived = new Promise((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error('no notification in 20 s')), 20000);
      sql.listen(channel, (payload) => {
        clearTimeout(limit);
        resolve(payload);
      }).then(() => sql.notify(channel, 'tea'), reject);
    });
    same(await arrived, 'tea');
  }

  async lastval_in_transaction() {
    const sql = await this.connect();
    const other = await this.connect();
    const table = await this.table(sql, 'lastval', 'id serial, t text');
    const insert = async (tx, t) => (await tx`INSERT INTO ${tx(table)} ${tx({ t })} RETURNING id`)[0].id;
    for (let turn = 0; turn < 3; turn++) {
      await sql.begin(async (tx) => {
        const mine = await insert(tx, 'tea');
        same(await insert(other, 'milk'), mine + 1);
        same((await tx`SELECT lastval()::int AS n`)[0].n, mine);
        same(mine, 2 * turn + 1);
      });
    }
  }
}

main(PostgresJs);
