<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit;

use ArrayObject;
use DateTimeImmutable;
use JsonSerializable;
use PHPUnit\Framework\TestCase;
use RrPgpool\Bytea;
use RrPgpool\Exception\InvalidArgument;
use RrPgpool\Internal\Arguments;
use RrPgpool\IsolationLevel;
use RrPgpool\Tests\Unit\Fixture\Money;
use RrPgpool\Tests\Unit\Fixture\Tags;

final class ArgumentsTest extends TestCase
{
    /** @dataProvider values */
    public function testValues(mixed $expected, mixed $value): void
    {
        self::assertSame([$expected], Arguments::convert([$value]));
    }

    /** @return array<string, array{mixed, mixed}> */
    public static function values(): array
    {
        return [
            'null' => [null, null],
            'bool' => [false, false],
            'int' => [PHP_INT_MIN, PHP_INT_MIN],
            'float' => [-0.1, -0.1],
            'NaN' => ['NaN', NAN],
            'infinity' => ['Infinity', INF],
            'minus infinity' => ['-Infinity', -INF],
            'string' => ["é\0", "é\0"],
            'enum' => ['serializable', IsolationLevel::Serializable],
            'date' => [
                '2024-02-29 23:59:59.000001+05:30',
                new DateTimeImmutable('2024-02-29 23:59:59.000001+05:30'),
            ],
            'bytea' => [['$bytea' => 'AP8='], new Bytea("\0\xff")],
            'Stringable' => ['12.50 EUR', new Money('12.50')],
            'JsonSerializable before Stringable' => [['a', 'b'], new Tags('a', 'b')],
            'list' => [[1, [2.5, null]], [1, [2.5, null]]],
            'map' => [['a' => 'NaN'], ['a' => NAN]],
            'elements' => [['2024-01-01 00:00:00.000000+00:00'], [new DateTimeImmutable('2024-01-01 UTC')]],
            'object' => [['a' => 1], (object) ['a' => 1]],
        ];
    }

    /**
     * Only Bytea is binary data: what looks like it in somebody's document has to arrive as it is.
     *
     * @dataProvider documents
     */
    public function testNoDocumentIsTakenForBytea(string $expected, mixed $value): void
    {
        self::assertSame([$expected], Arguments::convert([$value]));
    }

    /** @return array<string, array{string, mixed}> */
    public static function documents(): array
    {
        return [
            'map' => ['{"$bytea":"e30="}', ['$bytea' => 'e30=']],
            'null' => ['{"$bytea":null}', ['$bytea' => null]],
            'object' => ['{"$bytea":1}', (object) ['$bytea' => 1]],
            'in a list' => ['[1.0,{"$bytea":"é/"}]', [1.0, ['$bytea' => 'é/']]],
            'in a map' => ['{"a":{"$bytea":[]},"b":{}}', ['a' => ['$bytea' => []], 'b' => (object) []]],
            'JsonSerializable' => ['{"$bytea":"x"}', new class implements JsonSerializable {
                public function jsonSerialize(): mixed
                {
                    return ['$bytea' => 'x'];
                }
            }],
        ];
    }

    public function testAnEmptyObjectIsNoList(): void
    {
        self::assertSame('[{},[]]', json_encode(Arguments::convert([(object) [], []])));
    }

    /** @dataProvider unusable */
    public function testWhatCannotBeUsedIsNamed(string $message, mixed $value): void
    {
        try {
            Arguments::convert([1, $value]);
            self::fail('no exception');
        } catch (InvalidArgument $error) {
            self::assertStringContainsString($message, $error->getMessage());
            self::assertStringStartsWith('parameter $2: ', $error->getMessage());
            self::assertSame('22023', $error->sqlstate());
        }
    }

    /** @return array<string, array{string, mixed}> */
    public static function unusable(): array
    {
        $cycle = [];
        $cycle['self'] = &$cycle;
        $itself = new class implements JsonSerializable {
            public function jsonSerialize(): mixed
            {
                return $this;
            }
        };

        return [
            'binary' => ['wrap binary data in RrPgpool\Bytea', "\xff"],
            'binary inside' => ['not valid UTF-8', [["\xff"]]],
            'binary key' => ['not valid UTF-8', ["\xff" => 1]],
            'closure' => ['an object of Closure', static fn () => 1],
            'object' => ['an object of ArrayObject', new ArrayObject()],
            'resource' => ['cannot use resource (stream)', STDERR],
            'cycle' => ['nested deeper than', $cycle],
            'itself' => ['returns the object itself', $itself],
        ];
    }

    public function testNamesAreNoPositions(): void
    {
        $this->expectException(InvalidArgument::class);
        Arguments::convert(['id' => 1]);
    }
}
