// pg (node-postgres) through the PostgreSQL door.
'use strict';

const fs = require('node:fs');
const { once } = require('node:events');
const { Readable } = require('node:stream');
const { pipeline: pipe } = require('node:stream/promises');
const pg = require('pg');
const Cursor = require('pg-cursor');
const copy = require('pg-copy-streams');
const { main, same, mode, connections, shared, host, tlsCa, running, range, version } = require('./harness');
const { Common } = require('./common');

class Pg extends Common {
  static driver = 'pg';
  static title = `pg ${version('pg')}`;

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
    ['date', '2024-02-29', new Date('2024-02-29T00:00:00Z')],
    ['time', '23:59:59.999999'],
    ['timestamp', new Date('2024-01-02T03:04:05.678Z')],
    ['timestamptz', new Date('2024-01-02T03:04:05.678Z')],
    ['uuid', '00000000-0000-4000-8000-00000000abcd'],
    ['jsonb', { a: [1, null, { b: '\u00e9' }] }],
    ['int4[]', [1, null, 3]],
    ['text[]', ['a,b', null, 'c"d', '']],
  ];

  async open(options) {
    const client = new pg.Client(options);
    await client.connect();
    // With an argument or without, by the simple or the extended protocol, as it does for everybody.
    client.rows = async (sql, args) => (await client.query(sql, args)).rows;
    client.close = () => client.end();
    client.encrypted = () => client.connection.stream.encrypted === true;
    return client;
  }

  tlsOptions() {
    return { host, ssl: { ca: fs.readFileSync(tlsCa) } };
  }

  settingsOptions(settings) {
    const { application_name, search_path, TimeZone } = settings;
    return { application_name, options: `-c search_path=${search_path} -c timezone=${TimeZone}` };
  }

  async unnamed_parameters() {
    const client = await this.connect();
    for (let n = 0; n < 20; n++) {
      same(await this.value(client, 'SELECT $1::int + 1', [n]), n + 1);
      same(await this.value(client, "SELECT 'tea ' || $1", [n]), `tea ${n}`);
      same(await this.value(client, 'SELECT $1::bool', [n % 2 === 0]), n % 2 === 0);
    }
    const binary = await client.query({ text: 'SELECT $1::int AS n', values: [7], binary: true });
    same(binary.rows, [{ n: 7 }]);
  }

  async prepared_named() {
    const client = await this.connect();
    for (let turn = 0; turn < 10; turn++) {
      const one = await client.query({ name: 'one', text: 'SELECT $1::int + 1 AS n', values: [turn] });
      const two = await client.query({ name: 'two', text: 'SELECT $1::text AS t', values: [turn] });
      same([one.rows, two.rows], [[{ n: turn + 1 }], [{ t: String(turn) }]]);
    }
    // Another client's of the same names are its own.
    const other = await this.connect();
    const found = await other.query({ name: 'one', text: "SELECT 'other' AS t", values: [] });
    same(found.rows, [{ t: 'other' }]);
    await client.query('DEALLOCATE two');
    await this.fails('26000', client.query({ name: 'two', text: 'SELECT $1::text AS t', values: [1] }));
    same((await client.query({ name: 'one', text: 'SELECT $1::int + 1 AS n', values: [1] })).rows, [{ n: 2 }]);
  }

  async prepared_reused_across_transactions() {
    const client = await this.connect();
    const text = 'SELECT pg_backend_pid() AS pid, $1::int + 1 AS n';
    const once = async () => {
      await client.query('BEGIN');
      const { rows: [row] } = await client.query({ name: 'again', text, values: [41] });
      await client.query('COMMIT');
      same(row.n, 42);
      return row.pid;
    };
    await once();
    same(new Set(await this.walk(once)).size, shared ? connections : 1);
  }

  async pipeline() {
    const client = await this.connect({ pipeline: true });
    const table = await this.table(client, 'pipeline', 'n int PRIMARY KEY');
    const insert = (n) => client.query({ name: 'insert', text: `INSERT INTO ${table} VALUES ($1)`, values: [n] });
    await Promise.all(range(0, 99).map(insert));
    same(await this.numbers(client, table), range(0, 99));
    // Each is a transaction of its own: one that fails takes no other along.
    const several = [insert(100), this.fails('23505', insert(7)), insert(101), client.query('SELECT 5 AS n')];
    same((await Promise.all(several))[3].rows, [{ n: 5 }]);
    same(await this.numbers(client, table), range(0, 101));
  }

  async copy_in() {
    const client = await this.connect();
    const table = await this.table(client, 'copy_in', 'n int, t text');
    const lines = range(0, 4999).map((n) => `${n}\t${n % 7 ? `row ${n}` : '\\N'}\n`);
    const sql = `COPY ${table} FROM STDIN`;
    await pipe(Readable.from(lines), client.query(copy.from(sql)));
    const found = await client.query(`SELECT n, t FROM ${table} ORDER BY n`);
    same(found.rows, range(0, 4999).map((n) => ({ n, t: n % 7 ? `row ${n}` : null })));
    await this.fails('22P02', pipe(Readable.from(['1\tone\nx\ttwo\n']), client.query(copy.from(sql))));
    same(await this.value(client, `SELECT count(*)::int FROM ${table}`), 5000);
  }

  async copy_out() {
    const client = await this.connect();
    let found = '';
    const stream = client.query(copy.to('COPY (SELECT generate_series(1, 5000)) TO STDOUT'));
    for await (const chunk of stream) found += chunk;
    same(found, range(1, 5000).map((n) => `${n}\n`).join(''));
    same(await this.value(client, 'SELECT 1'), 1);
  }

  async cursor() {
    const client = await this.connect();
    const sql = 'SELECT generate_series(1, $1::int) AS n';
    // A portal, which ends with the transaction: within one, and in the cursor's own.
    for (const begin of ['BEGIN', 'SELECT 1']) {
      await client.query(begin);
      const cursor = client.query(new Cursor(sql, [1000]));
      const found = [];
      for (;;) {
        const rows = await cursor.read(70);
        if (!rows.length) break;
        found.push(...rows.map((row) => row.n));
      }
      same(found, range(1, 1000));
      await cursor.close();
      const half = client.query(new Cursor(sql, [1000]));
      same((await half.read(3)).map((row) => row.n), [1, 2, 3]);
      await half.close();
      same(await this.value(client, 'SELECT $1::int', [1]), 1);
      await client.query('ROLLBACK');
    }
  }

  async cancel() {
    const client = await this.connect();
    const other = await this.connect();
    const marker = this.name('cancel');
    const query = new pg.Query(`SELECT pg_sleep(30) /* ${marker} */`);
    const ended = once(query, 'end');
    client.query(query);
    while ((await this.value(other, running, [marker])) !== 1);
    new pg.Client().cancel(client, query);
    await this.fails('57014', ended);
    same(await this.value(client, 'SELECT 1'), 1);
    same(await this.value(other, running, [marker]), 0);
  }

  async notice() {
    const client = await this.connect();
    const found = [];
    client.on('notice', (notice) => found.push(notice.message));
    await client.query("DO $$ BEGIN RAISE NOTICE 'tea is ready'; END $$");
    same(found, ['tea is ready']);
  }

  async transaction_commit() {
    const client = await this.connect();
    const other = await this.connect();
    const table = await this.table(client, 'commit', 'n int');
    await client.query('BEGIN');
    await client.query(`INSERT INTO ${table} VALUES ($1)`, [1]);
    await client.query(`INSERT INTO ${table} VALUES ($1)`, [2]);
    same(await this.numbers(other, table), []);
    await client.query('COMMIT');
    same(await this.numbers(other, table), [1, 2]);
  }

  async transaction_rollback() {
    const client = await this.connect();
    const table = await this.table(client, 'rollback', 'n int');
    await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
    same(await this.value(client, 'SHOW transaction_isolation'), 'serializable');
    await client.query(`INSERT INTO ${table} VALUES ($1)`, [1]);
    same(await this.numbers(client, table), [1]);
    await client.query('ROLLBACK');
    same(await this.numbers(client, table), []);
  }

  async savepoint() {
    const client = await this.connect();
    const table = await this.table(client, 'savepoint', 'n int');
    await client.query(`BEGIN; INSERT INTO ${table} VALUES (1); SAVEPOINT s`);
    await client.query(`INSERT INTO ${table} VALUES ($1)`, [2]);
    await this.fails('22012', client.query('SELECT 1 / 0'));
    await client.query('ROLLBACK TO SAVEPOINT s');
    await client.query(`INSERT INTO ${table} VALUES ($1)`, [3]);
    await client.query('COMMIT');
    same(await this.numbers(client, table), [1, 3]);
  }

  async listen_notify() {
    const client = await this.connect();
    const other = await this.connect();
    const channel = this.name('channel');
    if (mode === 'transaction') {
      await this.fails('0A000', client.query(`LISTEN ${channel}`));
      same(await this.value(client, 'SELECT 1'), 1);
      return;
    }
    await client.query(`LISTEN ${channel}`);
    const arrived = once(client, 'notification', { signal: AbortSignal.timeout(20000) });
    await other.query('SELECT pg_notify($1, $2)', [channel, 'tea']);
    const [found] = await arrived;
    same([found.channel, found.payload], [channel, 'tea']);
  }

  async lastval_in_transaction() {
    const client = await this.connect();
    const other = await this.connect();
    const table = await this.table(client, 'lastval', 'id serial, t text');
    const insert = `INSERT INTO ${table} (t) VALUES ($1) RETURNING id`;
    for (let turn = 0; turn < 3; turn++) {
      await client.query('BEGIN');
      const mine = await this.value(client, insert, ['tea']);
      same(await this.value(other, insert, ['milk']), mine + 1);
      same(await this.value(client, 'SELECT lastval()::int'), mine);
      await client.query('COMMIT');
      same(mine, 2 * turn + 1);
    }
  }
}

main(Pg);
