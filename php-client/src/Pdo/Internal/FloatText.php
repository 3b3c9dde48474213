<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

/**
 * Prints a floating point number as PostgreSQL does, from PHP's own shortest digits.
 *
 * @internal
 */
final class FloatText
{
    /** Digits in front of the point from which on PostgreSQL prints an exponent. */
    public const FLOAT4 = 6;
    public const FLOAT8 = 15;

    public static function of(float $value, int $digits): string
    {
        if (!is_finite($value)) {
            return is_nan($value) ? 'NaN' : ($value > 0 ? 'Infinity' : '-Infinity');
        }
        $size = abs($value);
        if ($size >= 0.0001 && $size < 10 ** $digits) {
            // Nearly all numbers, and in this range PostgreSQL writes none with an exponent.
            $text = self::shortest($value);
            if (!str_contains($text, 'e')) {
                return str_ends_with($text, '.0') ? substr($text, 0, -2) : $text;
            }
        }
        [$sign, $significant, $exponent] = self::parts($value);
        if ($exponent >= $digits || $exponent < -4) {
            $fraction = substr($significant, 1);
            $power = str_pad((string) abs($exponent), 2, '0', STR_PAD_LEFT);

            return $sign . $significant[0] . ($fraction === '' ? '' : ".{$fraction}")
                . ($exponent < 0 ? 'e-' : 'e+') . $power;
        }
        if ($exponent < 0) {
            return $sign . '0.' . str_repeat('0', -$exponent - 1) . $significant;
        }
        $whole = substr(str_pad($significant, $exponent + 1, '0'), 0, $exponent + 1);
        $fraction = substr($significant, $exponent + 1);

        return $sign . $whole . ($fraction === '' ? '' : ".{$fraction}");
    }

    /** @return array{string, string, int} sign, significant digits, exponent of the first of them */
    private static function parts(float $value): array
    {
        [$mantissa, $exponent] = explode('e', self::shortest($value)) + [1 => '0'];
        $sign = $mantissa[0] === '-' ? '-' : '';
        [$whole, $fraction] = explode('.', ltrim($mantissa, '-')) + [1 => ''];
        $digits = ltrim($whole . $fraction, '0');
        $first = strlen($whole) - 1 - (strlen($whole . $fraction) - strlen($digits));

        return $digits === ''
            ? [$sign, '0', 0]
            : [$sign, rtrim($digits, '0'), (int) $exponent + $first];
    }

    /** The fewest digits from which the same number is read again. */
    private static function shortest(float $value): string
    {
        if (ini_get('serialize_precision') === '-1') {
            return (string) json_encode($value);
        }
        $precision = 0;
        do {
            $text = sprintf("%.{$precision}e", $value);
        } while ((float) $text !== $value && ++$precision < 17);

        return $text;
    }
}
