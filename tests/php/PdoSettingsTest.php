<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use PDO;
use PHPUnit\Framework\Attributes\DataProvider;

/** Settings belong to a client, whichever server connection it has. */
final class PdoSettingsTest extends PdoTestCase
{
    /** One for each connection; the server's own is UTC. */
    private const ZONES = [
        'Asia/Tokyo',
        'Europe/Paris',
        'America/Lima',
        'Africa/Cairo',
        'Pacific/Fiji',
        'Asia/Kathmandu',
    ];
    private const ZONE = "SELECT current_setting('TimeZone')";

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testEachConnectionKeepsItsOwn(string $database): void
    {
        $connections = $this->connectSeveral($database);
        foreach ($connections as $i => $pdo) {
            $pdo->exec("SET TimeZone = '" . self::ZONES[$i] . "'; SET search_path = s{$i}, public");
        }
        for ($round = 0; $round < 5; $round++) {
            // One keeps a server connection from the others, another one each time.
            $connections[$round]->beginTransaction();
            foreach ($connections as $i => $pdo) {
                self::assertSame(self::ZONES[$i], $this->value($pdo, self::ZONE));
                self::assertSame("s{$i}, public", $this->value($pdo, 'SHOW search_path'));
                self::assertSame(self::ZONES[$i], $this->value($pdo, 'SHOW TimeZone'));
            }
            $connections[$round]->commit();
        }
        self::assertSame('UTC', $this->value($this->connect($database), self::ZONE));
    }

    public function testAChangedSettingKeepsNoServerConnection(): void
    {
        foreach (["SET TimeZone = 'Asia/Tokyo'", 'RESET TimeZone', "BEGIN; SET TimeZone = 'UTC'; COMMIT"] as $sql) {
            $connections = $this->connectSeveral(self::TRANSACTION);
            foreach ($connections as $pdo) {
                $pdo->exec($sql);
            }
            // Nobody is in a transaction: all server connections are there for whoever comes.
            foreach (array_slice($connections, self::SHARED) as $pdo) {
                self::assertTrue($pdo->beginTransaction());
            }
        }
    }

    /**
     * @dataProvider waysToPrepare
     * @param array<int, mixed> $options
     */
    #[DataProvider('waysToPrepare')]
    public function testEqualStatementsFollowTheSearchPath(string $database, array $options): void
    {
        $connections = $this->connectSeveral($database, $options);
        $schema = 'pdo_' . bin2hex(random_bytes(4)) . '_';
        $select = [];
        foreach ($connections as $i => $pdo) {
            $pdo->exec("CREATE SCHEMA {$schema}{$i}; SET search_path = {$schema}{$i}");
            $pdo->exec("CREATE TABLE place (n int); INSERT INTO place VALUES ({$i})");
            $select[] = $pdo->prepare('SELECT n FROM place WHERE n >= ?');
        }
        for ($round = 0; $round < 5; $round++) {
            $connections[$round]->beginTransaction();
            foreach ($select as $i => $statement) {
                $statement->execute([0]);
                self::assertSame([$i], array_map('intval', $statement->fetchAll(PDO::FETCH_COLUMN)));
            }
            $connections[$round]->commit();
        }
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testRollbackTakesThemBack(string $database): void
    {
        $pdo = $this->connect($database);
        $pdo->exec("SET TimeZone = 'Asia/Tokyo'");
        $pdo->beginTransaction();
        $pdo->exec("SET TimeZone = 'Europe/Paris'");
        $pdo->exec("SET LOCAL work_mem = '123kB'");
        self::assertSame('Europe/Paris', $this->value($pdo, self::ZONE));
        self::assertSame('123kB', $this->value($pdo, 'SHOW work_mem'));
        $pdo->rollBack();
        self::assertSame('Asia/Tokyo', $this->value($pdo, self::ZONE));
        self::assertNotSame('123kB', $this->value($pdo, 'SHOW work_mem'));

        $pdo->beginTransaction();
        $this->value($pdo, "SELECT set_config('TimeZone', ?, false)", ['America/Lima']);
        $pdo->commit();
        self::assertSame('America/Lima', $this->value($pdo, self::ZONE));
        $pdo->exec('RESET TimeZone');
        self::assertSame('UTC', $this->value($pdo, self::ZONE));
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testTheDataSourceNameCanHoldThem(string $database): void
    {
        $options = ";application_name=tea;options='-c timezone=Asia/Tokyo -c search_path=a,b'";
        $named = $this->connect($database, [], $options);
        $plain = $this->connect($database);
        for ($round = 0; $round < 3; $round++) {
            self::assertSame('Asia/Tokyo', $this->value($named, self::ZONE));
            self::assertSame('a,b', $this->value($named, 'SHOW search_path'));
            self::assertSame('tea', $this->value($named, 'SHOW application_name'));
            self::assertSame('UTC', $this->value($plain, self::ZONE));
            self::assertNotSame('tea', $this->value($plain, 'SHOW application_name'));
        }
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testTheEncodingIsTheClients(string $database): void
    {
        $latin = $this->connect($database, [], ";options='--client_encoding=LATIN1'");
        $utf = $this->connect($database);
        self::assertSame("caf\xe9", $this->value($latin, "SELECT 'caf' || chr(233)"));
        self::assertSame('café', $this->value($utf, "SELECT 'caf' || chr(233)"));
        self::assertSame(233, (int) $this->value($latin, 'SELECT ascii(?)', ["\xe9"]));
        self::assertSame(233, (int) $this->value($utf, 'SELECT ascii(?)', ['é']));
    }
}
