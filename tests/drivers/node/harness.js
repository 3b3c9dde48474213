// Runs the behaviours of a driver and prints one line for each. Knows no driver.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

// pg reads dates as of the process's own time zone.
process.env.TZ = 'UTC';

const mode = process.env.MODE;
const connections = Number(process.env.CONNECTIONS);
// Whether clients of this database are moved from one server connection to another.
const shared = mode !== 'session';

class Skip extends Error {}

function same(found, expected) {
  try {
    assert.deepStrictEqual(found, expected);
  } catch {
    const show = (value) => String(JSON.stringify(value)).slice(0, 200);
    throw new Error(`expected ${show(expected)}, found ${show(found)}`);
  }
}

async function run(Driver, name) {
  const driver = new Driver();
  if (typeof driver[name] !== 'function') throw new Error('the driver leaves it out');
  try {
    await driver[name]();
  } finally {
    await driver.close();
  }
}

// Runs the behaviours that the arguments name.
async function main(Driver) {
  console.log(`# ${Driver.title}, node ${process.versions.node}`);
  for (const name of process.argv.slice(2)) {
    try {
      await run(Driver, name);
      console.log(`ok ${name}`);
    } catch (error) {
      if (error instanceof Skip) {
        console.log(`skip ${name}: ${error.message}`);
        continue;
      }
      process.exitCode = 1;
      console.log(`not ok ${name}: ${String(error && error.message).replace(/\s+/g, ' ').slice(0, 500)}`);
    }
  }
}

// Not every package lets its manifest be required.
function version(name) {
  return JSON.parse(fs.readFileSync(path.join(process.env.NODE_PATH, name, 'package.json'))).version;
}

module.exports = {
  version,
  Skip,
  same,
  main,
  mode,
  connections,
  shared,
  clients: 4 * connections,
  user: process.env.PGUSER,
  host: process.env.PGHOST,
  tlsCa: process.env.PGPOOL_TLS_CA,
  large: 4 * 1024 * 1024,
  // A client's own settings, and another's.
  settings: [
    { application_name: 'tea', search_path: 'pg_catalog, public', TimeZone: 'Asia/Tokyo' },
    { application_name: 'milk', search_path: 'public', TimeZone: 'America/Lima' },
  ],
  // How many statements with a text of this kind others are running.
  running: `SELECT count(*)::int AS n FROM pg_stat_activity, pg_sleep(0.01)
    WHERE state = 'active' AND pid <> pg_backend_pid() AND strpos(query, $1) > 0`,
  range: (from, to) => Array.from({ length: to - from + 1 }, (_, n) => from + n),
};
