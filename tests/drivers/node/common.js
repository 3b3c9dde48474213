// The behaviours that need nothing but statements with arguments, and so are the same for all drivers.
// A driver's class says how to open a client, and has its own of everything else.
'use strict';

const {
  Skip, same, mode, connections, shared, clients, user, tlsCa, large, settings, range,
} = require('./harness');

class Common {
  constructor() {
    this.opened = [];
  }

  // For drivers: open(options) gives a client with rows(sql, args), which gives objects, and close().
  async connect(options = {}) {
    const client = await this.open(options);
    this.opened.push(client);
    return client;
  }

  async close() {
    for (const client of this.opened.reverse()) await client.close();
  }

  // A table's name that no other driver or mode uses.
  name(word) {
    return `drivers_${this.constructor.driver}_${mode}_${word}`;
  }

  async value(client, sql, args = []) {
    const rows = await client.rows(sql, args);
    same(rows.length, 1);
    return Object.values(rows[0])[0];
  }

  async table(client, word, columns) {
    const name = this.name(word);
    await client.rows(`DROP TABLE IF EXISTS ${name}`);
    await client.rows(`CREATE TABLE ${name} (${columns})`);
    return name;
  }

  async numbers(client, table) {
    return (await client.rows(`SELECT n FROM ${table} ORDER BY n`)).map((row) => row.n);
  }

  async fails(sqlstate, promise) {
    let error;
    try {
      await promise;
    } catch (caught) {
      error = caught;
    }
    if (!error) throw new Error(`no error, expected ${sqlstate}`);
    if (!error.code) throw error;
    same(error.code, sqlstate);
    return error;
  }

  // Calls the action on each server connection where clients share them.
  async walk(action) {
    const found = [];
    if (!shared) {
      for (let turn = 0; turn < 3; turn++) found.push(await action());
      return found;
    }
    const holders = [];
    for (let n = 0; n < connections; n++) holders.push(await this.connect());
    for (const holder of holders) await holder.rows('BEGIN');
    for (const holder of holders) {
      await holder.rows('ROLLBACK');
      found.push(await action());
      await holder.rows('BEGIN');
    }
    for (const holder of holders) await holder.rows('ROLLBACK');
    return found;
  }

  async scram_login() {
    same(await this.value(await this.connect(), 'SELECT current_user::text'), user);
  }

  async wrong_password() {
    await this.fails('28P01', this.connect({ password: 'wrong' }).then((client) => client.rows('SELECT 1')));
  }

  async tls() {
    if (!tlsCa) throw new Skip('PGPOOL_TLS_CA is not set');
    const client = await this.connect(this.tlsOptions());
    same(await this.value(client, 'SELECT 1'), 1);
    same(client.encrypted(), true);
  }

  async types() {
    const client = await this.connect();
    for (const [type, argument, expected = argument] of this.constructor.values) {
      same(await this.value(client, `SELECT $1::${type} AS value`, [argument]), expected);
    }
  }

  async null_and_empty() {
    const client = await this.connect();
    const table = await this.table(client, 'null_and_empty', 'n int, t text, b bytea');
    const rows = [
      { n: 1, t: null, b: null },
      { n: 2, t: '', b: Buffer.alloc(0) },
      { n: 3, t: 'x', b: Buffer.of(0) },
    ];
    for (const row of rows) {
      await client.rows(`INSERT INTO ${table} VALUES ($1, $2, $3)`, [row.n, row.t, row.b]);
    }
    const found = await client.rows(`SELECT n, t, b FROM ${table} ORDER BY n`);
    same(found.map((row) => ({ ...row })), rows);
    const where = `SELECT n FROM ${table} WHERE t IS NOT DISTINCT FROM $1`;
    same(await this.value(client, where, [null]), 1);
    same(await this.value(client, where, ['']), 2);
  }

  async error_then_usable() {
    const client = await this.connect();
    const table = await this.table(client, 'errors', 'n int PRIMARY KEY');
    await this.fails('22012', client.rows('SELECT 1 / $1::int', [0]));
    same(await this.value(client, 'SELECT 1'), 1);
    await this.fails('42P01', client.rows('SELECT * FROM drivers_nowhere'));
    await client.rows(`INSERT INTO ${table} VALUES ($1)`, [7]);
    const error = await this.fails('23505', client.rows(`INSERT INTO ${table} VALUES ($1)`, [7]));
    same(error.constraint || error.constraint_name, `${table}_pkey`);
    same(error.detail, 'Key (n)=(7) already exists.');
    same(await this.numbers(client, table), [7]);
  }

  async failed_transaction_then_rollback() {
    const client = await this.connect();
    const table = await this.table(client, 'failed', 'n int');
    await client.rows('BEGIN');
    await client.rows(`INSERT INTO ${table} VALUES ($1)`, [1]);
    await this.fails('42703', client.rows('SELECT nothing'));
    await this.fails('25P02', client.rows('SELECT $1::int', [1]));
    await client.rows('ROLLBACK');
    same(await this.numbers(client, table), []);
  }

  async settings_follow() {
    const two = [await this.connect(), await this.connect(this.settingsOptions(settings[1]))];
    for (const [name, value] of Object.entries(settings[0])) {
      await two[0].rows('SELECT set_config($1, $2, false)', [name, value]);
    }
    await this.walk(async () => {
      for (const [n, client] of two.entries()) {
        for (const [name, value] of Object.entries(settings[n])) {
          same(await this.value(client, `SHOW ${name}`), value);
        }
      }
    });
  }

  async many_clients() {
    const table = await this.table(await this.connect(), 'many', 'n int');
    const work = async (client) => {
      for (let n = 0; n < 10; n++) {
        await client.rows('BEGIN');
        await client.rows(`INSERT INTO ${table} VALUES ($1)`, [n]);
        same(await this.value(client, 'SELECT $1::int', [n]), n);
        await client.rows('COMMIT');
      }
    };
    // Where each client keeps a server connection, they come and go; elsewhere all are there.
    const all = range(1, clients);
    if (shared) {
      await Promise.all((await Promise.all(all.map(() => this.connect()))).map(work));
    } else {
      await this.close();
      this.opened = [];
      await Promise.all(all.map(async () => {
        const client = await this.open({});
        await work(client).finally(() => client.close());
      }));
    }
    const expected = range(0, 9).flatMap((n) => Array(clients).fill(n));
    same(await this.numbers(await this.connect(), table), expected);
  }

  async large_value() {
    const client = await this.connect();
    const text = 'x\u00e9'.repeat(Math.floor(large / 3));
    const data = Buffer.alloc(large, Buffer.from(range(0, 255)));
    same(await this.value(client, 'SELECT length($1::text)', [text]), text.length);
    same((await this.value(client, 'SELECT $1::text', [text])) === text, true);
    same(await this.value(client, 'SELECT length($1::bytea)', [data]), data.length);
    same((await this.value(client, 'SELECT $1::bytea', [data])).equals(data), true);
  }

  async temp_table_outside_transaction() {
    const client = await this.connect();
    const name = this.name('temporary');
    const create = `CREATE TEMPORARY TABLE ${name} (n int)`;
    if (mode === 'transaction') {
      await this.fails('0A000', client.rows(create));
      same(await this.value(client, 'SELECT 1'), 1);
      return;
    }
    await client.rows(create);
    await client.rows(`INSERT INTO ${name} VALUES ($1)`, [1]);
    same(await this.numbers(client, name), [1]);
    await this.fails('42P01', (await this.connect()).rows(`SELECT n FROM ${name}`));
  }
}

module.exports = { Common };
