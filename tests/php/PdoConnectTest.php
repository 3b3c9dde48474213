<?php

declare(strict_types=1);

namespace RrPgpool\Tests;

use PDO;
use PDOException;
use PHPUnit\Framework\Attributes\DataProvider;

/** Connecting: who is let in, where to, and connections that persist. */
final class PdoConnectTest extends PdoTestCase
{
    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testSaysWhatItIs(string $database): void
    {
        $pdo = $this->connect($database);
        self::assertSame(
            $this->value($pdo, 'SHOW server_version'),
            $pdo->getAttribute(PDO::ATTR_SERVER_VERSION),
        );
        self::assertStringContainsString('waiting to send', $pdo->getAttribute(PDO::ATTR_CONNECTION_STATUS));
        $encoding = $this->value($pdo, 'SHOW client_encoding');
        self::assertStringContainsString("Client Encoding: {$encoding}", $pdo->getAttribute(PDO::ATTR_SERVER_INFO));
        self::assertSame('app', $this->value($pdo, 'SELECT current_user'));
        self::assertSame('app', $this->value($pdo, 'SELECT current_database()'));
    }

    /**
     * @dataProvider wrongLogins
     * @param list<string> $login database, user and password
     */
    #[DataProvider('wrongLogins')]
    public function testRefusesWhoIsWrong(array $login, string $text): void
    {
        [$database, $user, $password] = $login;
        try {
            new PDO('pgsql:' . Servers::proxy() . ";dbname={$database}", $user, $password);
        } catch (PDOException $error) {
            self::assertSame('08006', $error->errorInfo[0] ?? null);
            self::assertSame(7, $error->getCode());
            self::assertStringContainsString("FATAL:  {$text}", $error->getMessage());

            return;
        }
        self::fail('was let in');
    }

    /** @return array<string, array{list<string>, string}> */
    public static function wrongLogins(): array
    {
        $denied = 'password authentication failed for user';
        $cases = ['unknown database' => [['nowhere', 'app', 'secret'], 'database "nowhere" does not exist']];
        foreach (self::modes() as $mode => [$database]) {
            $cases["wrong password, {$mode}"] = [[$database, 'app', 'guess'], "{$denied} \"app\""];
            $cases["unknown user, {$mode}"] = [[$database, 'nobody', 'secret'], "{$denied} \"nobody\""];
        }
        $cases['unknown database and wrong password'] = [['nowhere', 'app', 'guess'], "{$denied} \"app\""];

        return $cases;
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testRefusesAWrongSetting(string $database): void
    {
        $options = ";options='-c timezone=nowhere'";
        $this->assertFails('08006', 'nowhere', fn (): PDO => $this->connect($database, [], $options));
        self::assertSame('1', (string) $this->value($this->connect($database), 'SELECT 1'));
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testAPersistentConnectionGoesOn(string $database): void
    {
        $persistent = [PDO::ATTR_PERSISTENT => true, PDO::ATTR_EMULATE_PREPARES => false];
        // Open until the tests end.
        $pdo = $this->connect($database, $persistent);
        $client = $pdo->pgsqlGetPid();
        $pdo->exec("SET TimeZone = 'Asia/Tokyo'");
        $pdo->beginTransaction();
        self::assertSame(1, (int) $this->value($pdo, 'SELECT ?::int', [1]));
        $pdo = null;

        $again = $this->connect($database, $persistent);
        self::assertSame($client, $again->pgsqlGetPid(), 'it is another connection');
        self::assertFalse($again->inTransaction(), 'PDO rolls back what was left open');
        // Statements are numbered from 1 again.
        self::assertSame(2, (int) $this->value($again, 'SELECT 1 + ?::int', [1]));
        self::assertSame('Asia/Tokyo', $this->value($again, 'SHOW TimeZone'));
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testClientsHaveNumbersOfTheirOwn(string $database): void
    {
        $connections = $this->connectSeveral($database);
        $numbers = array_map(static fn (PDO $pdo): int => $pdo->pgsqlGetPid(), $connections);
        self::assertCount(count($connections), array_unique($numbers));
    }

    /** @dataProvider modes */
    #[DataProvider('modes')]
    public function testComesAndGoesOften(string $database): void
    {
        for ($n = 0; $n < 50; $n++) {
            $pdo = $this->connect($database);
            self::assertSame($n, (int) $this->value($pdo, 'SELECT ?::int', [$n]));
            $pdo = null;
        }
    }
}
