<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

final class SessionTest extends PgpoolTestCase
{
    public function testKeepsSessionStateUntilItEnds(): void
    {
        $begun = $this->succeed($this->client->call('pgpool.SessionBegin'));
        $session = ['session_id' => $begun['session_id']];
        $backend = $this->value('SELECT pg_backend_pid()', [], $session);
        $this->execute('CREATE TEMP TABLE basket (item text)', [], $session);
        $this->execute('INSERT INTO basket VALUES ($1)', ['apple'], $session);
        $this->execute("SET work_mem = '123kB'", [], $session);
        $this->execute('PREPARE pick AS SELECT item FROM basket', [], $session);
        self::assertSame([['item' => 'apple']], $this->execute('EXECUTE pick', [], $session)['rows']);
        self::assertSame('123kB', $this->value("SELECT current_setting('work_mem')", [], $session));
        self::assertSame($backend, $this->value('SELECT pg_backend_pid()', [], $session));
        $ended = $this->succeed($this->client->call('pgpool.SessionEnd', $session));
        self::assertTrue($ended['success']);

        for ($i = 0; $i < 20; $i++) {
            self::assertNotSame('123kB', $this->value("SELECT current_setting('work_mem')"));
            self::assertNull($this->value("SELECT to_regclass('basket')::text"));
        }
    }

    public function testTakesSettingsAndAnIdOfTheCallersOwn(): void
    {
        $own = 'session-' . bin2hex(random_bytes(4));
        $params = ['session_id' => $own, 'settings' => ['TimeZone' => 'Asia/Tokyo']];
        self::assertSame($own, $this->succeed($this->client->call('pgpool.SessionBegin', $params))['session_id']);
        $session = ['session_id' => $own];
        self::assertSame('Asia/Tokyo', $this->value("SELECT current_setting('TimeZone')", [], $session));
        $this->succeed($this->client->call('pgpool.SessionEnd', $session));
        $late = $this->client->execute('SELECT 1', [], $session);
        self::assertStringStartsWith('25', $late['sqlstate'] ?? '', (string) json_encode($late));
    }

    public function testEndsWithTheConnectionThatBeganIt(): void
    {
        $owner = $this->connect();
        $id = $this->succeed($owner->call('pgpool.SessionBegin'))['session_id'];
        $owner->close();
        $deadline = microtime(true) + 10;
        do {
            $reply = $this->client->execute('SELECT 1', [], ['session_id' => $id]);
        } while (!isset($reply['error']) && microtime(true) < $deadline);
        self::assertArrayHasKey('sqlstate', $reply);
    }

    public function testRunsTransactionsBySql(): void
    {
        $session = ['session_id' => $this->succeed($this->client->call('pgpool.SessionBegin'))['session_id']];
        $table = $this->tableName();
        $this->execute("CREATE TABLE {$table} (n int)");
        $this->execute('BEGIN', [], $session);
        $this->execute("INSERT INTO {$table} VALUES (1)", [], $session);
        $this->execute('ROLLBACK', [], $session);
        self::assertSame(0, $this->value("SELECT count(*) FROM {$table}", [], $session));
        $this->succeed($this->client->call('pgpool.SessionEnd', $session));
        $this->execute("DROP TABLE {$table}");
    }
}
