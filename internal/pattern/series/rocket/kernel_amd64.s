#include "textflag.h"

// func addFourAVX2(dst, a, p, q, r *float32, n int)
TEXT ·addFourAVX2(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ p+16(FP), R8
	MOVQ q+24(FP), R9
	MOVQ r+32(FP), R10
	MOVQ n+40(FP), CX
	XORQ AX, AX

add:
	CMPQ AX, CX
	JGE  done
	VMOVUPS (SI)(AX*4), Y0
	VADDPS  (R8)(AX*4), Y0, Y0
	VADDPS  (R9)(AX*4), Y0, Y0
	VADDPS  (R10)(AX*4), Y0, Y0
	VMOVUPS Y0, (DI)(AX*4)
	ADDQ $8, AX
	JMP  add

done:
	VZEROUPPER
	RET

// HSUM adds the eight int32 of Y and stores the sum at AT. X is the low half of Y.
#define HSUM(Y, X, AT) \
	VEXTRACTI128 $1, Y, X15; \
	VPADDD  X15, X, X;       \
	VPSHUFD $0x4E, X, X15;   \
	VPADDD  X15, X, X;       \
	VPSHUFD $0xB1, X, X15;   \
	VPADDD  X15, X, X;       \
	VMOVD   X, AT

// func countAboveAVX2(c *float32, n int, biases *float32, nb int, counts *int32)
// A true comparison is -1 in its lane, so subtracting the mask counts.
TEXT ·countAboveAVX2(SB), NOSPLIT, $0-40
	MOVQ c+0(FP), SI
	MOVQ n+8(FP), CX
	MOVQ biases+16(FP), R8
	MOVQ nb+24(FP), R9
	MOVQ counts+32(FP), DI

four:
	CMPQ R9, $4
	JLT  one
	VBROADCASTSS 0(R8), Y0
	VBROADCASTSS 4(R8), Y1
	VBROADCASTSS 8(R8), Y2
	VBROADCASTSS 12(R8), Y3
	VPXOR Y4, Y4, Y4
	VPXOR Y5, Y5, Y5
	VPXOR Y6, Y6, Y6
	VPXOR Y7, Y7, Y7
	XORQ  AX, AX

fourloop:
	VMOVUPS (SI)(AX*4), Y8
	VCMPPS $0x11, Y8, Y0, Y9  // bias < value, false for NaN
	VCMPPS $0x11, Y8, Y1, Y10
	VCMPPS $0x11, Y8, Y2, Y11
	VCMPPS $0x11, Y8, Y3, Y12
	VPSUBD Y9, Y4, Y4
	VPSUBD Y10, Y5, Y5
	VPSUBD Y11, Y6, Y6
	VPSUBD Y12, Y7, Y7
	ADDQ $8, AX
	CMPQ AX, CX
	JLT  fourloop
	HSUM(Y4, X4, 0(DI))
	HSUM(Y5, X5, 4(DI))
	HSUM(Y6, X6, 8(DI))
	HSUM(Y7, X7, 12(DI))
	ADDQ $16, R8
	ADDQ $16, DI
	SUBQ $4, R9
	JMP  four

one:
	TESTQ R9, R9
	JZ    done
	VBROADCASTSS (R8), Y0
	VPXOR Y4, Y4, Y4
	XORQ  AX, AX

oneloop:
	VMOVUPS (SI)(AX*4), Y8
	VCMPPS $0x11, Y8, Y0, Y9
	VPSUBD Y9, Y4, Y4
	ADDQ $8, AX
	CMPQ AX, CX
	JLT  oneloop
	HSUM(Y4, X4, 0(DI))
	ADDQ $4, R8
	ADDQ $4, DI
	DECQ R9
	JMP  one

done:
	VZEROUPPER
	RET

// func dotAVX2(a, b *float32, n int, s *float32)
// One sum of eight lanes and no fused product, so that plain Go gives the same bits.
TEXT ·dotAVX2(SB), NOSPLIT, $0-32
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), R8
	MOVQ n+16(FP), CX
	MOVQ s+24(FP), DI
	VXORPS Y0, Y0, Y0
	XORQ AX, AX

product:
	VMOVUPS (SI)(AX*4), Y1
	VMULPS (R8)(AX*4), Y1, Y1
	VADDPS Y1, Y0, Y0
	ADDQ $8, AX
	CMPQ AX, CX
	JLT  product
	VMOVUPS Y0, (DI)
	VZEROUPPER
	RET
