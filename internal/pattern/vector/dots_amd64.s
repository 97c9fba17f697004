#include "textflag.h"

// Each step takes 16 components: widen the row's bytes to 16 bits, multiply with the query's and add pairs to 32 bits.
// Four rows go together, so that a part of the query is loaded once for four.

// ADDUP leaves the sum of the eight 32-bit lanes of y in the lowest lane of x.
#define ADDUP(y, x, ty, tx) \
	VEXTRACTI128 $1, y, tx \
	VPADDD       tx, x, x  \
	VPSHUFD      $0x4E, x, tx \
	VPADDD       tx, x, x  \
	VPSHUFD      $0xB1, x, tx \
	VPADDD       tx, x, x

// func dotsAVX2(sums *int32, query *int16, rows *int8, n, dim int)
TEXT ·dotsAVX2(SB), NOSPLIT, $0-40
	MOVQ sums+0(FP), DI
	MOVQ query+8(FP), SI
	MOVQ rows+16(FP), BX
	MOVQ n+24(FP), CX
	MOVQ dim+32(FP), DX
	LEAQ (DX)(DX*2), R12

four:
	CMPQ CX, $4
	JLT  one
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	MOVQ  BX, R8
	XORQ  AX, AX

fourStep:
	VMOVDQU   (SI)(AX*2), Y4
	VMOVDQU   32(SI)(AX*2), Y5
	VPMOVSXBW (R8), Y6
	VPMADDWD  Y4, Y6, Y6
	VPADDD    Y6, Y0, Y0
	VPMOVSXBW (R8)(DX*1), Y7
	VPMADDWD  Y4, Y7, Y7
	VPADDD    Y7, Y1, Y1
	VPMOVSXBW (R8)(DX*2), Y8
	VPMADDWD  Y4, Y8, Y8
	VPADDD    Y8, Y2, Y2
	VPMOVSXBW (R8)(R12*1), Y9
	VPMADDWD  Y4, Y9, Y9
	VPADDD    Y9, Y3, Y3
	VPMOVSXBW 16(R8), Y6
	VPMADDWD  Y5, Y6, Y6
	VPADDD    Y6, Y0, Y0
	VPMOVSXBW 16(R8)(DX*1), Y7
	VPMADDWD  Y5, Y7, Y7
	VPADDD    Y7, Y1, Y1
	VPMOVSXBW 16(R8)(DX*2), Y8
	VPMADDWD  Y5, Y8, Y8
	VPADDD    Y8, Y2, Y2
	VPMOVSXBW 16(R8)(R12*1), Y9
	VPMADDWD  Y5, Y9, Y9
	VPADDD    Y9, Y3, Y3
	ADDQ      $32, R8
	ADDQ      $32, AX
	CMPQ      AX, DX
	JLT       fourStep

	ADDUP(Y0, X0, Y4, X4)
	ADDUP(Y1, X1, Y5, X5)
	ADDUP(Y2, X2, Y6, X6)
	ADDUP(Y3, X3, Y7, X7)
	VMOVD X0, (DI)
	VMOVD X1, 4(DI)
	VMOVD X2, 8(DI)
	VMOVD X3, 12(DI)
	ADDQ  $16, DI
	LEAQ  (BX)(DX*4), BX
	SUBQ  $4, CX
	JMP   four

one:
	TESTQ CX, CX
	JZ    done
	VPXOR Y0, Y0, Y0
	XORQ  AX, AX

oneStep:
	VPMOVSXBW (BX)(AX*1), Y6
	VPMADDWD  (SI)(AX*2), Y6, Y6
	VPADDD    Y6, Y0, Y0
	ADDQ      $16, AX
	CMPQ      AX, DX
	JLT       oneStep
	ADDUP(Y0, X0, Y4, X4)
	VMOVD X0, (DI)
	ADDQ  $4, DI
	ADDQ  DX, BX
	DECQ  CX
	JMP   one

done:
	VZEROUPPER
	RET
